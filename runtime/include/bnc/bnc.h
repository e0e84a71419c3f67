// bnc's public C++ API: parse a network, run passes, compile it for training or frozen inference, bind tensors, run.
//
//   bnc::Network network = bnc::Network::from_file("model.bn");
//   bnc::WeightStore weights = bnc::WeightStore::load("weights.safetensors");
//   bnc::Session session = network.compile({.mode = bnc::Mode::infer, .batch = 1}, weights);
//   session.bind("x", image);
//   session.run();
//   bnc::Array y = session.read("y");
//
// Everything a caller can get wrong throws bnc::Error, whose what() is the text the command would print; any other
// exception (a std::logic_error) is a bug in bnc. The library never prints and never exits. Objects are movable, not
// copyable; a Session is used by one thread at a time.
#pragma once

#include "bnc/export.h"
#include "bnc/network.h"
#include "bnc/training.h"
