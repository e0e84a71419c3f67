#include "frontend/source/block_names.h"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "frontend/source/words.h"

namespace bnc::source {

namespace {

void order_from(const Program& program, const std::vector<Piece>& pieces, std::vector<int>& order) {
  for (const Piece& piece : pieces) {
    order_from(program, piece.body, order);
    if (piece.kind != Piece::Kind::block || std::find(order.begin(), order.end(), piece.block) != order.end()) continue;
    order_from(program, program.functions[piece.block].body, order);
    order.push_back(piece.block);
  }
}

const Piece* writer_of(const Function& block, ValueId value) {
  for (const Piece& piece : block.body)
    if (std::find(piece.results.begin(), piece.results.end(), value) != piece.results.end()) return &piece;
  return nullptr;
}

// A sum at the end, with at most an activation behind it: of a tensor that came in, or of two that were computed.
std::string residual_name(const Function& block) {
  const Piece* last = &block.body.back();
  if (last->kind == Piece::Kind::op && last->op->category == OpCategory::activation && !last->operands[0].values.empty())
    last = writer_of(block, last->operands[0].values[0]);
  if (!last || last->kind != Piece::Kind::op) return "";
  if (last->op->name == "concat") return "growing";
  if (last->op->name != "add") return "";
  bool direct = false;
  for (const Operand& operand : last->operands)
    for (const ValueId value : operand.values) direct |= !writer_of(block, value);
  return direct ? "residual" : "projected_residual";
}

std::string short_name(const Program& program, const Piece& piece) {
  if (piece.kind == Piece::Kind::block) return program.functions[piece.block].name;
  if (!piece.op->layer_name.empty()) return piece.op->layer_name;
  return piece.op->name.ends_with("_norm") ? "norm" : piece.op->name;
}

std::string name_of(const Program& program, const Function& block) {
  const std::string residual = residual_name(block);
  const auto has = [&](const char* op) {
    return std::any_of(block.body.begin(), block.body.end(), [&](const Piece& each) { return each.op && each.op->name == op; });
  };
  if (has("softmax") && has("matmul")) return residual.empty() ? "attention" : "transformer";
  if (!residual.empty() && block.body.size() > 2) return residual;
  const auto is_loop = [](const Piece& piece) { return piece.kind == Piece::Kind::repeat; };
  const bool loops = std::any_of(block.body.begin(), block.body.end(), is_loop);
  if (block.body.size() > 3 || loops) return std::any_of(block.body.begin(), block.body.end(), is_heavy) ? "stage" : "part";
  std::string name;
  for (const Piece& piece : block.body) name += (name.empty() ? "" : "_") + short_name(program, piece);
  return name.size() <= 28 ? name : "stage";
}

}  // namespace

std::vector<int> name_blocks(Program& program, const std::string& network) {
  std::vector<int> order;
  order_from(program, program.network().body, order);
  std::set<std::string> taken = {network};
  for (const int number : order) {
    Function& block = program.functions[number];
    const std::string stem = name_of(program, block);
    block.name = stem;
    for (int k = 2; is_reserved(block.name) || !taken.insert(block.name).second; ++k) block.name = fmt::format("{}_{}", stem, k);
  }
  return order;
}

}  // namespace bnc::source
