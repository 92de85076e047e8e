#pragma once

#include <fstream>
#include <iterator>
#include <string>

namespace flexpert::codec {

/// Reads a file of the tree; empty when it is not there.
inline std::string tree_file(const std::string& path) {
  std::ifstream in(std::string(FLEXPERT_SOURCE_DIR) + "/" + path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

/// Reads one of the genuine files that tests/data/make_fixtures.py wrote.
inline std::string fixture(const std::string& name) { return tree_file("src/codec/tests/data/" + name); }

}  // namespace flexpert::codec
