#include "engine/model/stop_text.h"

#include <gtest/gtest.h>

#include "base/rng.h"

namespace flexpert::engine {
namespace {

TEST(StopText, ShowsEverythingWhenThereAreNoStops) {
  StopText stop({});
  EXPECT_EQ(stop.push("abc").show, "abc");
  EXPECT_EQ(stop.flush(), "");
}

TEST(StopText, HoldsBackWhatMayBecomeAStopAndShowsItWhenItDoesNot) {
  StopText stop({"END"});
  EXPECT_EQ(stop.push("the E").show, "the ");
  EXPECT_EQ(stop.push("N").show, "");
  EXPECT_EQ(stop.push("Q").show, "ENQ");
  EXPECT_EQ(stop.push("EN").show, "");
  EXPECT_EQ(stop.flush(), "EN");
}

TEST(StopText, StopsAcrossPiecesAndShowsOnlyWhatComesBefore) {
  StopText stop({"\n\nUser:"});
  EXPECT_EQ(stop.push("hello\n").show, "hello");
  EXPECT_FALSE(stop.push("\nUs").stopped);
  const StopText::News news = stop.push("er: more");
  EXPECT_TRUE(news.stopped);
  EXPECT_EQ(news.show, "");
  EXPECT_EQ(stop.flush(), "");
}

TEST(StopText, TakesTheStopThatIsCompleteFirst) {
  EXPECT_EQ(StopText({"cd", "bc"}).push("abcd").show, "a");
  EXPECT_EQ(StopText({"abcde", "bcd"}).push("abcde").show, "a");
  EXPECT_EQ(StopText({"cd", "bcd"}).push("abcd").show, "a");
}

TEST(StopText, GivesTheSameTextHoweverItIsCut) {
  Rng rng(5);
  for (int round = 0; round < 5000; ++round) {
    std::string text;
    for (int i = 0; i < 30; ++i) text += static_cast<char>('a' + rng.below(3));
    std::vector<std::string> stops;
    for (int i = 0; i < 2; ++i) {
      std::string one;
      for (std::uint64_t n = 2 + rng.below(5); n > 0; --n) one += static_cast<char>('a' + rng.below(3));
      stops.push_back(one);
    }
    // The definition: the shortest beginning of the text that ends with a stop, without the longest such stop.
    std::string expected = text;
    bool stops_somewhere = false;
    for (std::size_t length = 1; length <= text.size() && !stops_somewhere; ++length)
      for (const std::string& one : stops) {
        const std::string beginning = text.substr(0, length);
        if (!beginning.ends_with(one)) continue;
        expected = std::min(expected, beginning.substr(0, length - one.size()));
        stops_somewhere = true;
      }
    StopText stop(stops);
    std::string shown;
    bool stopped = false;
    for (std::size_t at = 0; at < text.size() && !stopped;) {
      const std::size_t length = 1 + rng.below(4);
      const StopText::News news = stop.push(std::string_view(text).substr(at, length));
      shown += news.show;
      stopped = news.stopped;
      at += length;
      ASSERT_EQ(expected.substr(0, shown.size()), shown);
    }
    shown += stop.flush();
    EXPECT_EQ(stopped, stops_somewhere);
    EXPECT_EQ(shown, expected);
  }
}

}  // namespace
}  // namespace flexpert::engine
