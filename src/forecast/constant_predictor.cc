#include "forecast/constant_predictor.h"

#include "forecast/residual_predictor.h"

namespace flexpert::forecast {
namespace {

struct Constant {
  static constexpr std::string_view kName = "constant";
  double last = 0;
  bool seen = false;

  void observe(double value) {
    last = value;
    seen = true;
  }
  void skip() {}
  [[nodiscard]] bool started() const { return seen; }
  [[nodiscard]] double forecast(std::size_t /*horizon*/) const { return last; }
  void save(StateWriter& writer) const {
    writer.integer(seen ? 1 : 0);
    writer.number(last);
  }
  void restore(StateReader& reader) {
    seen = reader.integer() != 0;
    last = reader.number();
  }
};

}  // namespace

std::unique_ptr<Predictor> make_constant_predictor(const PredictorOptions& options) {
  return std::make_unique<ResidualPredictor<Constant>>(Constant{}, options.non_negative);
}

}  // namespace flexpert::forecast
