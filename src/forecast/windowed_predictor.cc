#include "forecast/windowed_predictor.h"

#include <utility>

namespace flexpert::forecast {
namespace {

class WindowedPredictor final : public Predictor {
 public:
  WindowedPredictor(std::unique_ptr<Predictor> as_new, std::size_t window) : as_new_(std::move(as_new)), window_(window) {}

  [[nodiscard]] std::string_view name() const override { return as_new_->name(); }

  void observe(double value) override {
    if (values_.size() == window_) values_.erase(values_.begin());
    values_.push_back(value);
    fitted_.reset();
  }

  [[nodiscard]] std::vector<Prediction> predict(std::span<const std::size_t> horizons, std::span<const double> levels) const override {
    if (fitted_ == nullptr) {
      fitted_ = as_new_->clone();
      for (const double value : values_) fitted_->observe(value);
    }
    return fitted_->predict(horizons, levels);
  }

  void save(StateWriter& writer) const override {
    writer.tag("windowed/1");
    writer.numbers(values_);
  }

  Result<void> restore(StateReader& reader) override {
    values_.clear();
    fitted_.reset();
    reader.tag("windowed/1");
    std::vector<double> values = reader.numbers();
    if (values.size() > window_) reader.reject("at most as many values as the window has");
    FLEXPERT_TRY(reader.result());
    values_ = std::move(values);
    return {};
  }

  [[nodiscard]] std::unique_ptr<Predictor> clone() const override {
    auto copy = std::make_unique<WindowedPredictor>(as_new_->clone(), window_);
    copy->values_ = values_;
    return copy;
  }

 private:
  std::unique_ptr<Predictor> as_new_;
  std::size_t window_;
  std::vector<double> values_;
  mutable std::unique_ptr<Predictor> fitted_;  ///< to values_; null until it is asked for
};

}  // namespace

std::unique_ptr<Predictor> make_windowed_predictor(std::unique_ptr<Predictor> as_new, std::size_t window) {
  return std::make_unique<WindowedPredictor>(std::move(as_new), window);
}

}  // namespace flexpert::forecast
