// The loop IR: loop nests over flat buffers, with explicit vectors and register tiles.
//
// A Program is a sequence of kernels. A kernel is a number of independent tasks; all threads run the same program and
// each takes a fixed share of every kernel's tasks, so results never depend on the number of threads.
// Expressions are scalars or vectors of `lanes` equal elements. A vector index into a buffer whose elements follow one
// another is a `ramp` of stride 1; any other vector index is a gather or scatter.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ir/diagnostic.h"
#include "ir/tensor.h"
#include "ir/type.h"

namespace bnc::loops {

enum class Scalar : uint8_t { boolean, i32, i64, f32, f64 };
// The bytes of one in memory.
constexpr int64_t size_of(Scalar scalar) { return scalar == Scalar::boolean ? 1 : scalar == Scalar::i64 || scalar == Scalar::f64 ? 8 : 4; }

struct Type {
  Scalar scalar = Scalar::f32;
  int lanes = 1;
  bool operator==(const Type&) const = default;
  Type with_lanes(int n) const { return {scalar, n}; }
  bool is_float() const { return scalar == Scalar::f32 || scalar == Scalar::f64; }
};

enum class ExprKind : uint8_t {
  integer,        // integer_value, of an integer type or boolean
  real,           // real_value
  variable,       // name: a loop variable, a `let`, the batch size (`batch_variable`) or a kernel's task number
  unary,          // unary_op, args[0]
  binary,         // binary_op, args[0..1]; both of one type; comparisons give booleans
  fma,            // args[0] * args[1] + args[2], rounded once; twice on targets without that instruction
  select,         // args[0] ? args[1] : args[2], per lane
  cast,           // args[0] to `type`
  load,           // buffer[args[0]], optionally only where args[1] holds (other lanes are 0)
  ramp,           // args[0] + {0, 1, ... lanes-1} * stride(integer_value)
  broadcast,      // args[0] in every lane
  read_register,  // element args[0] (constant once unrolled) of the register array `name`
  reduce_lanes,   // all lanes of args[0] combined with binary_op (add, minimum, maximum): the upper half joins the lower until one is left
};

// Floating-point functions are accurate to 2 ulp in f32. `round_even` rounds to the nearest integer, ties to even.
enum class UnaryOp : uint8_t {
  negate,
  absolute,
  floor,
  round_even,
  sqrt,
  reciprocal_sqrt,
  exp,
  log,
  log1p,
  tanh,
  sigmoid,
  erf,
  logical_not
};

// minimum and maximum of floats give NaN when either operand is NaN. Integer division and modulo round down; divisors
// are positive. Shifts and bitwise operations are on integers; i32 wraps around.
enum class BinaryOp : uint8_t {
  add, subtract, multiply, divide, modulo, minimum, maximum,
  less, less_equal, equal, not_equal, logical_and, logical_or,
  bit_and, bit_or, bit_xor, shift_left, shift_right_logical
};
// Whose result is a boolean, whatever its operands are.
inline bool is_comparison(BinaryOp op) { return op >= BinaryOp::less && op <= BinaryOp::not_equal; }

struct ExprNode;

class Expr {
 public:
  Expr() = default;
  Expr(int value);      // i64 constant
  Expr(int64_t value);  // i64 constant
  explicit Expr(std::shared_ptr<const ExprNode> node) : node_(std::move(node)) {}

  explicit operator bool() const { return node_ != nullptr; }
  const ExprNode* operator->() const { return node_.get(); }
  const ExprNode& operator*() const { return *node_; }
  const ExprNode* get() const { return node_.get(); }

 private:
  std::shared_ptr<const ExprNode> node_;
};

struct ExprNode {
  ExprKind kind;
  Type type;
  int64_t integer_value = 0;  // integer constant; stride of a ramp
  double real_value = 0;
  UnaryOp unary_op{};
  BinaryOp binary_op{};
  int buffer = -1;
  std::string name;
  std::vector<Expr> args;
  // What is known of a number, for index arithmetic: the bounds of a variable, and how many leading lanes of a ramp count
  // (the others lie behind the end of a row, where a mask keeps them from being used).
  std::optional<std::pair<int64_t, int64_t>> bounds = {};
  int active_lanes = 0;
};

// The batch size, as an i64 variable, where it is not known at compile time.
inline constexpr const char* batch_variable = "N";

// Constructors. They fold constants and simplify index arithmetic, in particular: ramps and broadcasts under +, - and
// * stay ramps and broadcasts, x*1, x+0, x/1, x%1, nested constant sums and products, and comparisons of constants.
// Binary operations and select broadcast a scalar operand to the lanes of the other; an integer constant takes the
// element type of what it stands beside.
Expr integer(int64_t value, Type type = {Scalar::i64, 1});
Expr real(double value, Type type = {Scalar::f32, 1});
Expr constant_of(Type type, double value);
Expr variable(const std::string& name, Type type = {Scalar::i64, 1});
Expr bounded_variable(const std::string& name, int64_t low, int64_t high);  // an index that lies in [low, high]
std::optional<std::pair<int64_t, int64_t>> bounds_of(const Expr& index);  // the least and the greatest value, as far as its form tells
bool is_non_negative(const Expr& index);                                    // as far as its form tells
Expr unary(UnaryOp op, Expr x);
Expr binary(BinaryOp op, Expr a, Expr b);
Expr fma(Expr a, Expr b, Expr c);
Expr select(Expr condition, Expr if_true, Expr if_false);
Expr cast(Scalar scalar, Expr x);
Expr load(int buffer, Scalar scalar, Expr index, Expr predicate = {});
Expr ramp(Expr base, int64_t stride, int lanes);
Expr ramp(Expr base, int64_t stride, int lanes, int active_lanes);
Expr broadcast(Expr x, int lanes);
Expr read_register(const std::string& name, Type type, Expr index);
Expr reduce_lanes(BinaryOp op, Expr x);

inline Expr operator+(Expr a, Expr b) { return binary(BinaryOp::add, a, b); }
inline Expr operator-(Expr a, Expr b) { return binary(BinaryOp::subtract, a, b); }
inline Expr operator*(Expr a, Expr b) { return binary(BinaryOp::multiply, a, b); }
inline Expr operator/(Expr a, Expr b) { return binary(BinaryOp::divide, a, b); }
inline Expr operator%(Expr a, Expr b) { return binary(BinaryOp::modulo, a, b); }
inline Expr operator-(Expr a) { return unary(UnaryOp::negate, a); }
inline Expr operator<(Expr a, Expr b) { return binary(BinaryOp::less, a, b); }
inline Expr operator<=(Expr a, Expr b) { return binary(BinaryOp::less_equal, a, b); }
inline Expr operator>(Expr a, Expr b) { return binary(BinaryOp::less, b, a); }
inline Expr operator>=(Expr a, Expr b) { return binary(BinaryOp::less_equal, b, a); }
inline Expr operator==(Expr a, Expr b) { return binary(BinaryOp::equal, a, b); }

bool is_constant(const Expr& x, int64_t value);
std::optional<int64_t> as_integer(const Expr& x);  // also of a constant repeated in all lanes
// The expression with variables replaced; shares what does not change.
Expr substitute(const Expr& x, const std::map<std::string, Expr>& replacements);

enum class StmtKind : uint8_t { block, loop, store, let, declare_registers, write_register, conditional, prefetch };

struct StmtNode;
using Stmt = std::shared_ptr<const StmtNode>;

// `unrolled` loops have constant bounds and are expanded by the code generator.
enum class LoopKind : uint8_t { serial, unrolled };

// Into which cache, by when a line is used: of the first, what is asked for long before has been displaced. For a store: the
// line will be written.
enum class Prefetch : uint8_t { l1, l2, store };

// How often the condition of a conditional holds; `rare` branches are laid out aside.
enum class Frequency : uint8_t { unknown, rare };

struct StmtNode {
  StmtKind kind;
  LoopKind loop_kind = LoopKind::serial;
  Frequency frequency = Frequency::unknown;
  std::string name;              // loop variable, let variable, register array
  Expr begin, end;               // loop: for (name = begin; name < end; name += step)
  int64_t step = 1;
  Expr index, value,
      predicate;  // store and write_register: target[index] = value (where predicate holds); let: value; conditional: predicate
  int buffer = -1;               // store, prefetch
  Prefetch prefetch = Prefetch::l1;
  bool streamed = false;         // store: past the caches
  Type type;                     // declare_registers: the type of one element
  int64_t count = 0;             // declare_registers: how many
  std::vector<Stmt> body;        // block, loop, conditional (then-branch)
};

Stmt block(std::vector<Stmt> body);
Stmt loop(const std::string& variable, Expr begin, Expr end, int64_t step, std::vector<Stmt> body, LoopKind kind = LoopKind::serial);
Stmt store(int buffer, Expr index, Expr value, Expr predicate = {});
// A store of results too large for any cache. Whole, aligned cache lines go to memory without being read before; others are
// stored as always. The kernel itself may read the buffer in rare branches alone: it would wait for memory.
Stmt streamed_store(int buffer, Expr index, Expr value, Expr predicate = {});
Stmt let(const std::string& variable, Expr value);  // visible in the rest of the enclosing block
Stmt declare_registers(const std::string& name, Type type, int64_t count);
Stmt write_register(const std::string& name, Expr index, Expr value);
Stmt conditional(Expr condition, std::vector<Stmt> then_body, Frequency frequency = Frequency::unknown);
// Asks for the cache line of an element that is used soon; changes no value. The index may lie outside of the buffer.
Stmt prefetch(int buffer, Expr index, Prefetch what);

// What memory a buffer stands for.
enum class BufferKind : uint8_t {
  argument,  // a pointer the caller passes: network inputs and outputs, parameters, states. One that is written may be
             // the same memory as another of its size (an update in place); no other two buffers of a kernel may overlap
  constant,  // data embedded in the compiled object
  arena,     // workspace, placed by plan-memory
  scratch,   // memory of the thread that runs a task, of constant size. It belongs to one kernel, which lists it like
             // any other buffer; every task finds undefined contents. Placed by plan-memory
};

struct Buffer {
  std::string name;
  Scalar scalar = Scalar::f32;
  Dim elements;                  // how many, maybe a multiple of the batch size
  BufferKind kind = BufferKind::arena;
  int argument = -1;             // position in the pointer table of an argument
  SharedNumbers data;            // of a constant
  // Byte offset in the arena, `offset` + `batch_offset` * N, or in a thread's scratch. Both are multiples of 64.
  int64_t offset = 0, batch_offset = 0;
  SourceRange range;             // where the value was written that it holds, for errors
};

struct Kernel {
  std::string name;
  Expr tasks;                    // how many independent tasks
  std::string task_variable;
  // Threads are given runs of successive tasks. A body that names this variable is told the first task of its run, and finds in
  // scratch what the task before it in the run left there; without, tasks know nothing of each other.
  std::string first_task_variable;
  Stmt body;                     // one task
  std::vector<int> reads, writes;
  double flops = 0, bytes = 0;   // for one example when the batch size is symbolic, else for the batch; for `explain` and `bench`
};

struct Program {
  std::string name;
  std::optional<int64_t> batch;  // the batch size when it is known at compile time
  std::vector<Buffer> buffers;
  std::vector<Kernel> kernels;
  // plan-memory's result: the arena takes arena_bytes + N * arena_bytes_per_example; behind it lies scratch_bytes for each thread.
  int64_t arena_bytes = 0, arena_bytes_per_example = 0, scratch_bytes = 0;
  // Threads' scratches lie a page apart: hardware that fetches ahead stays within one, and what it would take from another
  // thread, that one had to fetch back before each store.
  static constexpr int64_t scratch_gap = 4096;
  int64_t scratch_stride() const { return scratch_bytes == 0 ? 0 : scratch_bytes + scratch_gap; }

  int find_buffer(const std::string& name) const;  // -1 when there is none
  // The memory that a step of `threads` threads works in.
  int64_t workspace_bytes(int64_t n, int64_t threads) const {
    return arena_bytes + n * arena_bytes_per_example + threads * scratch_stride();
  }
};

// Readable text, for `--emit loops` and golden tests.
std::string to_string(const Expr& x, const Program* program = nullptr);
std::string to_string(const Program& program);

// Checks types, lanes, scopes and buffer numbers; throws InternalError naming the kernel.
void verify(const Program& program);

}  // namespace bnc::loops
