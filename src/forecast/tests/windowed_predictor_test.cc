#include "forecast/windowed_predictor.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::forecast {
namespace {

std::unique_ptr<Predictor> make(const std::string& name, std::size_t window) {
  auto made = make_predictor({name, 60, true, window});
  EXPECT_TRUE(made) << name;
  return std::move(*made);
}

double next_of(const Predictor& predictor) {
  const std::size_t horizon = 1;
  const double level = 0.9;
  return predictor.predict({&horizon, 1}, {&level, 1})[0].mean;
}

TEST(WindowedPredictor, ForgetsWhatLiesBeforeTheWindow) {
  for (const std::string& name : predictor_names()) {
    auto windowed = make(name, 12);
    auto fresh = make(name, 0);
    Rng rng(4);
    for (int i = 0; i < 30; ++i) windowed->observe(1000 * rng.uniform());
    for (int i = 0; i < 12; ++i) {
      const double value = 5 + rng.uniform();
      windowed->observe(value);
      fresh->observe(value);
    }
    // Without a window a moving average goes by ten values, which is not these twelve.
    if (name == "moving_average") fresh = nullptr;
    EXPECT_TRUE(fresh == nullptr || next_of(*windowed) == next_of(*fresh)) << name;
    EXPECT_LT(next_of(*windowed), 20) << name;
  }
}

TEST(WindowedPredictor, AMovingAverageIsTheMeanOfItsWindow) {
  auto average = make("moving_average", 3);
  for (const double value : {100.0, 1.0, 2.0, 6.0}) average->observe(value);
  EXPECT_DOUBLE_EQ(next_of(*average), 3);
}

TEST(WindowedPredictor, RestoredGoesOnAlike) {
  auto a = make("holt", 8);
  for (int i = 0; i < 20; ++i) a->observe(i * i);
  StateWriter writer;
  a->save(writer);
  const std::string text = writer.take();
  auto b = make("holt", 8);
  StateReader reader(text);
  ASSERT_TRUE(b->restore(reader));
  for (int i = 0; i < 5; ++i) {
    a->observe(i);
    b->observe(i);
    EXPECT_EQ(next_of(*a), next_of(*b));
  }
  StateReader damaged("windowed/1\n9 1 1 1 1 1 1 1 1 1 ");
  EXPECT_FALSE(make("holt", 8)->restore(damaged));
}

TEST(WindowedPredictor, WindowsOutOfRangeAreRefused) {
  EXPECT_FALSE(make_predictor({"holt", 60, true, 1}));
  EXPECT_FALSE(make_predictor({"holt", 60, true, kLargestWindow + 1}));
}

}  // namespace
}  // namespace flexpert::forecast
