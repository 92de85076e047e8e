#pragma once

#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "base/check.h"
#include "engine/tokenizer/tokenizer.h"

namespace flexpert::engine {

inline std::string tiny_model_folder() { return std::string(FLEXPERT_SOURCE_DIR) + "/models/flexpert-tiny-moe"; }

/// Reads goldens/NAME of the shipped model and returns its "cases".
inline boost::json::array golden_cases(const std::string& name) {
  const std::string path = tiny_model_folder() + "/goldens/" + name;
  std::ifstream file(path);
  FLEXPERT_CHECK(file.good(), path);
  std::stringstream text;
  text << file.rdbuf();
  return boost::json::parse(text.str()).as_object().at("cases").as_array();
}

template <class T>
std::vector<T> numbers(const boost::json::value& list) {
  std::vector<T> values;
  for (const auto& item : list.as_array()) values.push_back(item.to_number<T>());
  return values;
}

}  // namespace flexpert::engine
