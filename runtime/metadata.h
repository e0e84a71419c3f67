// What a weights file says of its model beside the tensors.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/table.h"
#include "runtime/training_record.h"

namespace bnc {

// The numbers that a training set put into the network, and how they came about: bytes are taken for pixels and divided by 255, other
// numbers are taken as they are.
struct InputScale {
  bool from_bytes = false;
  double lowest = 0, highest = 0;
};

// What the targets of a training set were: numbers of classes, or numbers.
enum class TargetMeaning { classes, numbers };

// How images became the examples of a training set: 1 channel is grey, 3 are RGB; `resized` from whatever size they had.
struct ImageRule {
  int64_t height = 0, width = 0, channels = 0;
  bool resized = false;
};

// An input of the network, and what the training set put into it.
struct ModelInput {
  std::string name, type;           // "f32[N, 784]"
  std::vector<int64_t> example;     // the shape of an example: height, width, channels of an image; empty where it is not known
  bool channels_first = false;      // images lie in the input as channels, height, width
};

// Kept in the `__metadata__` of a safetensors file, which maps strings to strings. bnc's own keys begin with `bnc.`; what is more than a
// word is JSON in its string. A file need not have any of them.
struct ModelMetadata {
  std::string network;                     // bnc.network: its name
  std::string graph;                       // bnc.graph: its graph_hash
  std::string version;                     // bnc.version: of the bnc that trained them, or made them by `bnc init`
  std::vector<ModelInput> inputs;          // bnc.inputs: `[{"name":"x","type":"f32[N, 784]","example":[28,28,1],"layout":"nhwc"}]`
  std::optional<TrainingRecord> training;  // bnc.training: how it was trained, as JSON
  std::optional<InputScale> input_scale;   // bnc.input.scale: `bytes / 255` or `as stored`; bnc.input.range: `[0,1]`
  std::optional<TargetMeaning> targets;    // bnc.targets: `classes` or `numbers`
  std::vector<std::string> classes;        // bnc.classes: a JSON list of their names, in order
  std::optional<TableEncoding> table;      // bnc.table: the columns of a table and how they became numbers, as JSON
  std::optional<ImageRule> images;         // bnc.images: of a folder of images, as JSON
  std::map<std::string, std::string> others;   // entries that are not known, kept as they are

  // Error, naming `path`, where an entry of bnc's own is damaged.
  static ModelMetadata parse(std::map<std::string, std::string> entries, const std::string& path);
  std::map<std::string, std::string> entries() const;
};

}  // namespace bnc
