#include "report/html_text.h"

#include <gtest/gtest.h>

namespace flexpert::report {
namespace {

TEST(HtmlText, NothingThatIsMarkupSurvives) {
  EXPECT_EQ(html_escaped("<img src=x onerror='a()'>&\""), "&lt;img src=x onerror=&#39;a()&#39;&gt;&amp;&quot;");
  EXPECT_EQ(html_escaped("größe 层"), "größe 层");
}

TEST(HtmlText, BytesThatAreNotUtf8AndControlCharactersAreReplaced) {
  EXPECT_EQ(html_escaped("a\xff" "b"), "a\xEF\xBF\xBD" "b");
  EXPECT_EQ(html_escaped(std::string_view("a\0b", 3)), "a\xEF\xBF\xBD" "b");
  EXPECT_EQ(html_escaped("\xc0\xaf"), "\xEF\xBF\xBD\xEF\xBF\xBD");  // overlong
  EXPECT_EQ(html_escaped("\xe5\xb1"), "\xEF\xBF\xBD\xEF\xBF\xBD");  // cut off
  EXPECT_EQ(html_escaped("\xed\xa0\x80"), "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");  // half of a surrogate pair
}

TEST(HtmlText, AScriptStringCannotEndItsElement) {
  EXPECT_EQ(script_string("</script><!--"), "\"\\u003c/script\\u003e\\u003c!--\"");
  EXPECT_EQ(script_string("a\"\\\n"), "\"a\\u0022\\u005c\\u000a\"");
  EXPECT_EQ(script_string("\xE2\x80\xA8"), "\"\\u2028\"");
}

}  // namespace
}  // namespace flexpert::report
