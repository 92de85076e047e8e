#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"

namespace flexpert::bench {

/// The lines that every measurement prints: machine, method, one per figure, and the verdict.
class Figures {
 public:
  /// Prints the machine's line and the method's.
  Figures(std::string name, const std::string& method);
  /// Prints a figure without a bar.
  void note(const std::string& figure, double value, const std::string& unit);
  /// Prints a figure that must hold its bar.
  void hold(const std::string& figure, double value, const std::string& unit, const std::string& bar, bool holds);
  /// Prints the verdict; returns the exit code. A run that was broken off falls short.
  int verdict(bool finished);

 private:
  std::string name_;
  int held_ = 0;
  int total_ = 0;
};

/// A measurement with the flexpert program and the model folder of the command line.
using Measurement = std::function<Result<void>(const std::string& program, const std::string& model, Figures& figures)>;

/// The main() of a measurement: reads `PROGRAM FLEXPERT_PROGRAM MODEL_FOLDER`, prints all lines; returns the exit code.
int run_measurement(int argc, char** argv, const std::string& name, const std::string& method, const Measurement& measure);

/// A measurement with a folder of data of the command line.
using FolderMeasurement = std::function<Result<void>(const std::string& folder, Figures& figures)>;

/// The main() of such a measurement: reads `PROGRAM FOLDER`, prints all lines; returns the exit code.
int run_folder_measurement(int argc, char** argv, const std::string& name, const std::string& method, const FolderMeasurement& measure);

/// Returns the value below which the share `q` (0 to 1) of the samples lies; 0 without samples.
double quantile(std::vector<double> samples, double q);

}  // namespace flexpert::bench
