// Objects: linked into a C and a C++ program, run, and looked at with nm.
#include <doctest/doctest.h>
#include <fmt/format.h>
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <sstream>

#include "codegen/codegen.h"
#include "ir/diagnostic.h"

using namespace bnc;
using namespace bnc::loops;

namespace {

// y = sigmoid(2x) + c, by way of the arena; exact where it is measured, since sigmoid(0) is 1/2.
Program small_program(std::optional<int64_t> batch) {
  Program program{.name = "small", .batch = batch};
  auto rows = [&](int64_t factor) { return batch ? Dim{factor * *batch} : Dim{factor, true}; };
  program.buffers = {{.name = "x", .elements = rows(20), .kind = BufferKind::argument, .argument = 1},
                     {.name = "t.1", .elements = rows(20), .offset = 64},
                     {.name = "scale", .elements = {1}, .offset = 0},
                     {.name = "c", .elements = {20}, .kind = BufferKind::constant},
                     {.name = "output/int", .elements = rows(20), .kind = BufferKind::argument, .argument = 0}};
  std::vector<float> numbers(20);
  std::iota(numbers.begin(), numbers.end(), 0.0f);
  program.buffers[3].data = numbers;
  program.arena_bytes = 64 + (batch ? *batch * 128 : 0);
  program.arena_bytes_per_example = batch ? 0 : 128;
  Expr row = variable("row"), i = variable("i"), at = ramp(row * 20 + i, 1, 16), inside = ramp(i, 1, 16) < Expr(20);
  Stmt scale = store(2, 0, real(2));
  Stmt first = loop("i", 0, 20, 16, {store(1, at, load(0, Scalar::f32, at, inside) * load(2, Scalar::f32, 0), inside)});
  Stmt second = loop(
      "i", 0, 20, 16,
      {store(4, at, unary(UnaryOp::sigmoid, load(1, Scalar::f32, at, inside)) + load(3, Scalar::f32, ramp(i, 1, 16), inside), inside)});
  Expr n = batch ? Expr(*batch) : variable(batch_variable);
  program.kernels = {{.name = "scale", .tasks = 1, .task_variable = "one", .body = scale, .writes = {2}},
                     {.name = "first", .tasks = n, .task_variable = "row", .body = first, .reads = {0, 2}, .writes = {1}},
                     {.name = "second", .tasks = n, .task_variable = "row", .body = second, .reads = {1, 3}, .writes = {4}}};
  return program;
}

const codegen::ObjectOptions options{.function_name = "small", .inputs = {"x"}, .outputs = {"output/int"}};

// A program in C and C++ alike: returns 0 when all is as the header says.
const char* caller = R"(
#include "small.h"
#include "small.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#define EXPECT(condition) if (!(condition)) { printf("failed: %s\n", #condition); return 1; }
int main(void) {
  int64_t n, i;
  float x[60] = {0}, y[61];
  char *workspace = (char *)malloc((size_t)small_workspace_bytes(3) + 1);
  char *memory = (char *)malloc(1024), *line = memory + (64 - (size_t)memory % 64) % 64;
  for (n = 1; n <= 3; ++n) {
    for (i = 0; i < 61; ++i) y[i] = -1;
    EXPECT(small_infer(n, x, y, workspace + 1) == small_infer_OK);
    for (i = 0; i < 20 * n; ++i) EXPECT(y[i] == 0.5f + (float)(i % 20));
    EXPECT(y[20 * n] == -1);
  }
  memset(memory, 7, 1024);   /* the workspace begins at a cache line, however it is given */
  EXPECT(small_infer(1, x, y, line + 1) == small_infer_OK);
  for (i = 0; i < 64; ++i) EXPECT(line[i] == 7);
  free(memory);
  EXPECT(small_workspace_bytes(3) == 64 + 3 * 128 + 63);
  EXPECT(small_infer(0, x, y, workspace) == small_infer_BAD_BATCH);
  EXPECT(small_infer(-5, x, y, workspace) == small_infer_BAD_BATCH);
  EXPECT(small_infer(INT64_MAX, x, y, workspace) == small_infer_BAD_BATCH);
  EXPECT(small_workspace_bytes(0) == small_infer_BAD_BATCH);
  EXPECT(small_workspace_bytes(INT64_MAX) == small_infer_BAD_BATCH);
  EXPECT(small_infer(1, NULL, y, workspace) == small_infer_NULL);
  EXPECT(small_infer(1, x, NULL, workspace) == small_infer_NULL);
  EXPECT(small_infer(1, x, y, NULL) == small_infer_NULL);
  free(workspace);
  return 0;
}
)";

// A folder of its own, removed at the end.
struct Folder {
  std::string path;
  Folder() {
    std::string name = (std::filesystem::temp_directory_path() / "bnc_object_XXXXXX").string();
    REQUIRE(mkdtemp(name.data()));
    path = name;
  }
  ~Folder() { std::filesystem::remove_all(path); }
  void write(const std::string& name, const std::string& text) const { std::ofstream(path + "/" + name, std::ios::binary) << text; }
};

// Runs a command in a folder; its output, with a last line "exit CODE".
std::string run(const Folder& folder, const std::string& command) {
  FILE* pipe = popen(fmt::format("cd '{}' && ({}) 2>&1; echo exit $?", folder.path, command).c_str(), "r");
  REQUIRE(pipe);
  std::string output;
  std::array<char, 4096> part;
  while (size_t count = fread(part.data(), 1, part.size(), pipe)) output.append(part.data(), count);
  pclose(pipe);
  return output;
}

// The symbols nm lists, a line each.
std::string symbols(const Folder& folder, const std::string& flags) { return run(folder, "nm " + flags + " small.o | awk '{print $NF}'"); }

}  // namespace

TEST_CASE("an object links into C and C++ programs and keeps its word") {
  for (const char* cpu : {"native", "haswell", "x86-64"}) {
    for (bool position_independent : {true, false}) {
      Program program = small_program({});
      codegen::ObjectOptions object = options;
      object.position_independent = position_independent;
      Folder folder;
      folder.write("small.o", codegen::emit_object(program, codegen::target_for(cpu, true), object));
      folder.write("small.h", codegen::emit_header(program, object, "a test\nof comments */ that end"));
      folder.write("main.c", caller);
      folder.write("main.cpp", caller);
      std::string flags = position_independent ? "-fPIE -pie" : "-no-pie";
      INFO("CPU " << cpu << " " << flags);
      CHECK(run(folder, "cc -std=c99 -Wall -Wextra -Werror -pedantic " + flags + " main.c small.o -o c_program -lm && ./c_program") ==
            "exit 0\n");
      CHECK(run(folder, "c++ -std=c++11 -Wall -Wextra -Werror -pedantic " + flags +
                            " main.cpp small.o -o cpp_program -lm && ./cpp_program") == "exit 0\n");
      if (position_independent)
        CHECK(
            run(folder, "cc -shared small.o -o libsmall.so && cc main.c -L. -lsmall -Wl,-rpath,. -o shared_program && ./shared_program") ==
            "exit 0\n");
    }
  }
}

// They are called from several functions.
TEST_CASE("an object of hundreds of kernels runs each of them once") {
  Program program = small_program({});
  const Expr i = variable("i"), at = ramp(variable("row") * 20 + i, 1, 4);
  const auto add = [&](float number) {
    const Stmt body = loop("i", 0, 20, 4, {store(1, at, load(1, Scalar::f32, at) + real(number))});
    program.kernels.insert(
        program.kernels.end() - 1,
        {.name = "add", .tasks = variable(batch_variable), .task_variable = "row", .body = body, .reads = {1}, .writes = {1}});
  };
  for (int k = 0; k < 300; ++k) add(1);
  add(-300);
  Folder folder;
  folder.write("small.o", codegen::emit_object(program, codegen::target_for("native", true), options));
  folder.write("small.h", codegen::emit_header(program, options, "hundreds of kernels"));
  folder.write("main.c", caller);
  CHECK(run(folder, "cc -std=c99 main.c small.o -o program -lm && ./program") == "exit 0\n");
  CHECK(symbols(folder, "--extern-only --defined-only") == "small_infer\nsmall_workspace_bytes\nexit 0\n");
}

TEST_CASE("an object's workspace has room for the scratch of one thread") {
  Program program = small_program({});
  program.scratch_bytes = 256;
  Folder folder;
  folder.write("small.o", codegen::emit_object(program, codegen::target_for("native", true), options));
  folder.write("small.h", codegen::emit_header(program, options, "scratch"));
  folder.write("main.c", "#include \"small.h\"\nint main(void) { return small_workspace_bytes(2) == 64 + 2 * 128 + 256 + 63 ? 0 : 1; }\n");
  CHECK(run(folder, "cc main.c small.o -o program -lm && ./program") == "exit 0\n");
}

TEST_CASE("large constants lie in a section that may be far from the code") {
  for (const bool position_independent : {true, false}) {
    codegen::ObjectOptions object = options;
    object.position_independent = position_independent;
    object.large_constants = 1;
    Folder folder;
    folder.write("small.o", codegen::emit_object(small_program({}), codegen::target_for("native", true), object));
    folder.write("small.h", codegen::emit_header(small_program({}), object, "a test"));
    folder.write("main.c", caller);
    // Flag `l`: linkers place it behind all that code reaches in 2 GiB. The only address that goes there has 64 bits.
    CHECK(run(folder, "readelf -SW small.o | grep 'lrodata.constants .* Al '").ends_with("exit 0\n"));
    const std::string relocations = run(folder, "readelf -rW small.o | grep constants");
    CHECK(relocations.find("R_X86_64_PC64") != std::string::npos);
    CHECK(relocations.find("PC32") == std::string::npos);
    CHECK(relocations.find("R_X86_64_32") == std::string::npos);
    CHECK(symbols(folder, "--undefined-only") == "exit 0\n");
    const std::string flags = position_independent ? "" : "-no-pie";
    CHECK(run(folder, "cc " + flags + " main.c small.o -o program -lm && ./program") == "exit 0\n");
    CHECK(run(folder, "cc -static " + flags + " main.c small.o -o static_program -lm && ./static_program") == "exit 0\n");
    if (position_independent)
      CHECK(run(folder, "cc -shared small.o -o libsmall.so && cc main.c -L. -lsmall -Wl,-rpath,. -o shared_program && ./shared_program") ==
            "exit 0\n");
  }
}

TEST_CASE("an object defines its two functions and needs nothing") {
  Folder folder;
  folder.write("small.o", codegen::emit_object(small_program({}), codegen::target_for("native"), options));
  CHECK(symbols(folder, "--undefined-only") == "exit 0\n");
  CHECK(symbols(folder, "--extern-only --defined-only") == "small_infer\nsmall_workspace_bytes\nexit 0\n");
  // Constants lie read-only and aligned; the stack is not executable.
  CHECK(run(folder, "objdump -h small.o | grep -A1 rodata").find("2**6") != std::string::npos);
  CHECK(run(folder, "objdump -h small.o | grep -A1 note.GNU-stack").find("CODE") == std::string::npos);
}

TEST_CASE("an object with one batch size refuses the others") {
  Program program = small_program(3);
  Folder folder;
  folder.write("small.o", codegen::emit_object(program, codegen::target_for("native", true), options));
  folder.write("small.h", codegen::emit_header(program, options, "batch 3"));
  folder.write("main.c", R"(
#include "small.h"
int main(void) {
  static float x[60], y[60], workspace[1024];
  char constant[small_WORKSPACE_BYTES];
  if (small_workspace_bytes(3) != (int64_t)sizeof constant || sizeof constant < 64) return 1;
  if (small_workspace_bytes(2) != small_infer_BAD_BATCH) return 1;
  if (small_infer(3, x, y, workspace) != 0 || y[59] != 19.5f) return 2;
  return small_infer(2, x, y, workspace) == small_infer_BAD_BATCH && small_infer(4, x, y, workspace) == small_infer_BAD_BATCH ? 0 : 3;
})");
  CHECK(run(folder, "cc main.c small.o -o program -lm && ./program") == "exit 0\n");
}

TEST_CASE("the same program gives the same object") {
  TargetDescription target = codegen::target_for("haswell");
  CHECK(codegen::emit_object(small_program({}), target, options) == codegen::emit_object(small_program({}), target, options));
}

TEST_CASE("headers document shapes and make legal names") {
  std::string header = codegen::emit_header(small_program({}), options, "compiled by a test");
  auto has = [&](const char* text) { return header.find(text) != std::string::npos; };
  CHECK(has(" * compiled by a test\n"));
  CHECK(has("#ifndef small_infer_HEADER\n#define small_infer_HEADER\n"));
  CHECK(has("extern \"C\""));
  CHECK(has("int small_infer(int64_t n, const float *in_x, float *out_int, void *workspace);"));
  CHECK(has("n * 20 elements"));
  CHECK(has("small_infer_BAD_BATCH = -1"));
}

TEST_CASE("headers compile whatever the network, its inputs and outputs are called, and whatever was included before") {
  const std::vector<std::string> names = {
      "xor",      "bool",      "export",  "linux",    "unix",     "i386",  "NULL",      "I",          "f",      "r",     "w",
      "x",        "F",         "R",       "W",        "X",        "n",     "workspace", "Net",        "net",    "NET",   "main",
      "exit",     "double",    "int64_t", "float",    "void",     "const", "complex",   "_Complex_I", "and_eq", "class", "module",
      "requires", "co_await",  "asm",     "typeof",   "restrict", "_Bool", "nullptr",   "small",      "far",    "near",  "min",
      "max",      "interface", "IN",      "OUT",      "ERROR",    "TRUE",  "infer",     "OK",         "HEADER", "errno", "stdin",
      "environ",  "in_addr_t", "S_ISREG", "__FILE__", "__asm_",   "_",     "a_infer",   "a",          "in_x",   "out_x"};
  Program program{.name = "none", .batch = 2};
  codegen::ObjectOptions object;
  for (const std::string& name : names) {
    object.inputs.push_back(name);
    object.outputs.push_back("output/" + name);
    for (const std::string& buffer : {name, "output/" + name})
      program.buffers.push_back(
          {.name = buffer, .elements = {6}, .kind = BufferKind::argument, .argument = static_cast<int>(program.buffers.size())});
  }
  const Folder folder;
  std::string headers, uses;
  for (const std::string& name : names) {
    object.function_name = name;
    folder.write("header_of_" + name + ".h", codegen::emit_header(program, object, "/* a comment in /path/*.bn //* //"));
    folder.write("copy_of_" + name + ".h", codegen::emit_header(program, object, "the same network"));
    headers += fmt::format("#include \"header_of_{0}.h\"\n#include \"copy_of_{0}.h\"\n", name);
    uses += fmt::format(
        "  sum += {0}_workspace_bytes(2) + {0}_WORKSPACE_BYTES + {0}_infer_OK + {0}_infer_BAD_BATCH + {0}_infer_NULL + ({0}_infer == 0);\n",
        name);
  }
  const std::string program_text = headers + "int64_t sum_of_all(void);\nint64_t sum_of_all(void) {\n  int64_t sum = 0;\n" + uses +
                                   "  return sum;\n}\n";
  const std::string windows =
      "#define small char\n#define far\n#define near\n#define interface struct\n#define IN\n#define OUT\n#define ERROR 0\n#define TRUE "
      "1\n#define OK 0\n#define min(a, b) ((a) < (b) ? (a) : (b))\n#define max(a, b) ((a) > (b) ? (a) : (b))\n";
  for (const std::string& before :
       {std::string(),
        std::string("#include <unistd.h>\n#include <sys/stat.h>\n#include <netinet/in.h>\n#include <errno.h>\n#include <stdio.h>\n"),
        std::string("#include <complex.h>\n#include <stdbool.h>\n#include <iso646.h>\n"), windows}) {
    folder.write("all.c", before + program_text);
    folder.write("all.cpp", before + program_text);
    CAPTURE(before);
    for (const char* standard : {"c99", "c17", "gnu17"})
      CHECK(run(folder, fmt::format("cc -std={} -Wall -Wextra -Werror -pedantic -Wno-address -fsyntax-only all.c", standard)) ==
            "exit 0\n");
    for (const char* standard : {"c++11", "gnu++20"})
      CHECK(run(folder, fmt::format("c++ -std={} -Wall -Wextra -Werror -pedantic -Wno-address -fsyntax-only all.cpp", standard)) ==
            "exit 0\n");
  }
}

TEST_CASE("an object must name all arguments of its program") {
  TargetDescription target = codegen::target_for("native");
  codegen::ObjectOptions missing = options, unknown = options;
  missing.outputs.clear();
  unknown.inputs = {"z"};
  CHECK_THROWS_AS(codegen::emit_object(small_program({}), target, missing), InternalError);
  CHECK_THROWS_AS(codegen::emit_object(small_program({}), target, unknown), InternalError);
}

TEST_CASE("LLVM IR and assembly can be looked at, with and without an object's functions") {
  TargetDescription target = codegen::target_for("haswell");
  CHECK(codegen::emit_llvm(small_program({}), target).find("define dso_local void @small_step") != std::string::npos);
  CHECK(codegen::emit_llvm(small_program({}), target, &options).find("define dso_local i32 @small_infer") != std::string::npos);
  CHECK(codegen::emit_assembly(small_program({}), target).find("vmovups") != std::string::npos);
  CHECK(codegen::emit_assembly(small_program({}), target).find("vgather") == std::string::npos);
}
