// Writes the golden file of every scenario: flexpert_scenarios FOLDER
#include <cstdio>
#include <fstream>

#include "scenarios/scenario.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: flexpert_scenarios FOLDER\n", stderr);
    return 2;
  }
  for (const auto& scenario : flexpert::scenarios::all_scenarios()) {
    const auto text = flexpert::scenarios::play(scenario);
    if (!text) {
      std::fprintf(stderr, "%s: %s\n", scenario.name.c_str(), text.error().message.c_str());
      return 1;
    }
    std::ofstream file(std::string(argv[1]) + "/" + scenario.name + ".txt");
    file << *text;
    if (!file.flush()) {
      std::fprintf(stderr, "%s/%s.txt cannot be written\n", argv[1], scenario.name.c_str());
      return 1;
    }
  }
  return 0;
}
