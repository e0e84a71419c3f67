// Every number by which a schedule is chosen, with its unit and its reason. How they were found: docs/performance.md.
#pragma once

#include <cstddef>
#include <cstdint>

namespace bnc::cost {

// --- kernels and their tasks -----------------------------------------------------------------------------------------

// Arithmetic, in operations.
inline constexpr double small_work = 4e5;     // one task does it about as fast as several tasks and their barrier
inline constexpr double single_work = 1e5;    // not worth more than one task
inline constexpr double barrier_work = 2e5;   // done in the time that a barrier takes
// Stands in for a batch size that is not known, in estimates.
inline constexpr int64_t nominal_batch = 32;
// From so many rows on a tensor or a sum over rows is tall: split by rows, and stored in slices.
inline constexpr int64_t many_rows = 4096;
// Rows an example from which on a product counts as one over an image.
inline constexpr int64_t least_example_rows = 16;
// Units of a task: with fewer than the first threads are idle; a task that owns more rows, or whose product reads more elements of its left
// operand, hands on what does not stay in its cache.
inline constexpr double few_units = 8, most_unit_rows = 1024, most_unit_elements = 1 << 16;
// Nodes of a kernel, which is one function: compiling it takes more than linear time, and stack.
inline constexpr size_t most_kernel_nodes = 384;
// Nodes that read nothing of a kernel but might be computed beside it.
inline constexpr size_t most_kernel_candidates = 256;

// --- what is computed where it is read -------------------------------------------------------------------------------

// Costs are operations an element.
inline constexpr int most_chain_cost = 32;           // of a chain of elementwise ops that is computed again rather than stored
inline constexpr int most_scalar_cost = 24;          // of scalar arithmetic that is read several times
inline constexpr int most_single_scalar_cost = 1024; // and of such that is read once
inline constexpr size_t most_chain_reads = 2;        // stored tensors that a chain reads
inline constexpr double most_chain_readers = 3;      // readers of a chain that reads two
inline constexpr double hiding_work = 512;           // of a product for each element that it reads: from there on reading takes no time
inline constexpr int cheap_as_a_load = 2;            // computing it again costs no more than loading it
// Of what is read several times: more is stored, or work would double with each level.
inline constexpr int most_repeated_cost = 64;
// In the epilogue of a register tile, which repeats it for each accumulator: less with a function of many instructions.
inline constexpr int most_epilogue_cost = 20, most_epilogue_cost_with_function = 12, function_cost = 10;
// Reads of an element that count as one, as by 3x3 windows that overlap by one line.
inline constexpr int about_once = 3;

// --- contractions ----------------------------------------------------------------------------------------------------

inline constexpr int64_t most_tile_rows = 28;
// Pixels of a block of a sum over pixels: its panel stays in L1, its window in L2.
inline constexpr int64_t block_pixels = 128;
// Throughput, in bytes a cycle: of copying, of packing panels, of memory.
inline constexpr double copy_bytes_a_cycle = 16, panel_bytes_a_cycle = 8, memory_bytes_a_cycle = 4;
inline constexpr double task_cycles = 2000;          // of starting a task
// Relative time of tiles at an edge of the left operand that test whether an element is there.
inline constexpr double guarded_edge = 1.04;
inline constexpr int64_t least_guarded_channels = 32; // for which one test at a position is enough
inline constexpr int64_t most_taps_in_registers = 5;  // of a kernel row whose pixels stay in registers
inline constexpr int64_t most_task_rows = 768;        // where there are enough of them
// Reduction steps from which on prefetches are issued in stretches, and the steps of a stretch.
inline constexpr int64_t least_stretched_sum = 64, most_stretch = 8;
// Elements from an element that is copied to the one that is prefetched meanwhile: from L2 or memory to L1.
inline constexpr int64_t prefetch_distance = 512;
// Cache lines of one prefetch: as many as L1 holds.
inline constexpr int64_t most_prefetched_lines = 1024;

// Chunks of a task's rows that are copied at a time.
inline constexpr double least_chunk_products = 1 << 14;   // vectors: a chunk has a beginning and an end
inline constexpr int least_registers_ahead = 32;          // with fewer the tile leaves none to copy the next chunk meanwhile
inline constexpr int64_t most_vectors_a_stretch = 4;      // copied beside the products of a stretch
// With copies ahead nothing hides that of a task's first chunk: chunks of a task, tasks that must be left, and how many are plenty.
inline constexpr int64_t least_chunks_a_task = 4, enough_tasks = 16, plenty_of_tasks = 96;

// --- reductions ------------------------------------------------------------------------------------------------------

inline constexpr int64_t reduction_chunk = 128;  // elements added up one after another
inline constexpr int reduction_vectors = 2;      // side by side; more hide more of the additions' latency, and make more code
inline constexpr int tall_vectors = 4;           // of a sum over many rows: one chain of additions alone would wait for itself
// Rows of an elementwise loop nest: what depends on the channel alone is computed once for them, and their lines stay in L1.
inline constexpr int64_t row_block = 64;

}  // namespace bnc::cost
