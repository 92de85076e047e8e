#include <fmt/format.h>

#include "security/scene.h"

/// Bodies: what is not one JSON object that everybody reads alike is refused, and only the outermost `model` decides.
namespace flexpert::bench::security {

void body_cases(Suite& suite, Scene& scene) {
  const auto post = [&](const std::string& body, const std::string& key) { return request("POST", kChat, key, body); };
  const auto bad = [&](const std::string& name, const std::string& body) {
    suite.run("body: " + name, [&] { return refused(scene, post(body, scene.alice), {400, 403, 404, 413}); });
  };
  const std::string tail = R"(,"messages":[{"role":"user","content":"hello"}]})";
  bad("empty", " ");
  bad("not JSON", "model=m-one");
  bad("a list", R"([{"model":"m-one"}])");
  bad("a text", R"("m-one")");
  bad("null", "null");
  bad("no model", R"({"messages":[]})");
  bad("model twice, the forbidden one last", R"({"model":"m-one","model":"m-two")" + tail);
  bad("model twice, the forbidden one first", R"({"model":"m-two","model":"m-one")" + tail);
  bad("model twice, equal", R"({"model":"m-one","model":"m-one")" + tail);
  bad("model twice, once escaped", R"({"model":"m-one","\u006dodel":"m-two")" + tail);
  bad("model twice, once escaped, first", R"({"mode\u006c":"m-two","model":"m-one")" + tail);
  bad("model twice, far apart", R"({"model":"m-one","pad":")" + std::string(100'000, 'x') + R"(","model":"m-two")" + tail);
  bad("stream twice", R"({"model":"m-one","stream":false,"stream":true)" + tail);
  bad("max_tokens twice", R"({"model":"m-one","max_tokens":1,"max_tokens":100000)" + tail);
  bad("model null", R"({"model":null)" + tail);
  bad("model is a number", R"({"model":1)" + tail);
  bad("model is a list", R"({"model":["m-one"])" + tail);
  bad("model is an object", R"({"model":{"id":"m-one"})" + tail);
  bad("model empty", R"({"model":"")" + tail);
  bad("model in capitals", R"({"model":"M-ONE")" + tail);
  bad("Model for model", R"({"Model":"m-one")" + tail);
  bad("model with a space behind", R"({"model":"m-one ")" + tail);
  bad("model with a NUL behind", R"({"model":"m-one\u0000")" + tail);
  bad("model with a line break", R"({"model":"m-one\r\nX: y")" + tail);
  bad("model with a wildcard", R"({"model":"m-*")" + tail);
  bad("model is a path", R"({"model":"../m-two")" + tail);
  bad("model is a URL", R"({"model":"http://127.0.0.1:1/m-one")" + tail);
  bad("model of 100 KB", R"({"model":")" + std::string(100'000, 'm') + "\"" + tail);
  bad("model with half a surrogate pair", R"({"model":"m-one\ud800")" + tail);
  bad("a byte order mark before", "\xef\xbb\xbf" + chat("m-one"));
  bad("UTF-16", std::string("{\0\"\0m\0", 6));
  bad("a byte that is not UTF-8", chat("m-one", "\xff"));
  bad("an overlong slash", chat("m-one", "\xc0\xaf"));
  bad("a surrogate in UTF-8", chat("m-one", "\xed\xa0\x80"));
  bad("a raw control character", chat("m-one", "\x01"));
  bad("a raw line break in a text", chat("m-one", "a\nb"));
  bad("a NUL", chat("m-one", std::string(1, '\0')));
  bad("something behind it", chat("m-one") + "x");
  bad("a second object behind it", chat("m-one") + chat("m-two"));
  bad("a NUL behind it", chat("m-one") + std::string(1, '\0'));
  bad("a comment", R"({"model":"m-one"/*x*/)" + tail);
  bad("a comma at the end", R"({"model":"m-one","messages":[],})");
  bad("single quotes", R"({'model':'m-one','messages':[]})");
  bad("NaN", R"({"model":"m-one","temperature":NaN)" + tail);
  bad("Infinity", R"({"model":"m-one","temperature":Infinity)" + tail);
  bad("a hexadecimal number", R"({"model":"m-one","seed":0x10)" + tail);
  bad("a number with a zero before", R"({"model":"m-one","seed":01)" + tail);
  bad("cut short", chat("m-one").substr(0, 30));
  bad("cut inside an escape", R"({"model":"m-one","x":"\u00)");
  bad("depth 65", R"({"model":"m-one","x":)" + std::string(65, '[') + std::string(65, ']') + tail);
  bad("depth 100,000", R"({"model":"m-one","x":)" + std::string(100'000, '['));
  bad("objects 5,000 deep", R"({"model":"m-one","x":)" + [] { std::string deep; for (int i = 0; i < 5000; ++i) deep += "{\"a\":"; return deep; }());
  bad("stream is a text", R"({"model":"m-one","stream":"true")" + tail);

  // Whatever a prompt says, alice's request goes to m-one as it is, and to nothing else.
  const std::vector<std::pair<std::string, std::string>> prompts{
      {"\"model\": in a prompt", R"(\"model\":\"m-two\")"},
      {"a whole request in a prompt", R"({\"model\":\"m-two\",\"user\":\"root\"})"},
      {"an escaped quote before it", R"(\\\",\"model\":\"m-two\",\"x\":\"\\\")"},
      {"unicode escapes", R"(\u0022model\u0022:\u0022m-two\u0022)"},
      {"the end of the messages in a prompt", R"(\"}],\"model\":\"m-two\")"},
      {"a head in a prompt", R"(\r\nX-Flexpert-Grant: v1.a.b\r\nAuthorization: Bearer fx-x)"},
      {"an event in a prompt", R"(\n\ndata: [DONE]\n\n)"},
      {"a template in a prompt", "${jndi:ldap://127.0.0.1/a} {{7*7}} %n%s"},
  };
  for (const auto& [name, prompt] : prompts) {
    suite.run("prompt: " + name, [&, prompt = prompt] {
      const std::string body = chat("m-one", prompt);
      return taken(scene, post(body, scene.alice), [&](const Seen& seen) -> std::string { return seen.body == body ? "" : "the body was changed"; });
    });
    suite.run("prompt: " + name + ", on a forbidden model", [&, prompt = prompt] {
      std::string turned = prompt;
      for (std::size_t at = turned.find("m-two"); at != std::string::npos; at = turned.find("m-two", at)) turned.replace(at, 5, "m-one");
      return refused(scene, post(chat("m-two", turned), scene.alice), {403, 404});
    });
  }
  const std::vector<std::pair<std::string, std::string>> nested{
      {"metadata", R"("metadata":{"model":"m-two","tenant":"beta"})"},
      {"tools", R"("tools":[{"type":"function","function":{"name":"f","parameters":{"model":"m-two"}}}])"},
      {"a message", R"("x":[{"model":"m-two"}])"},
      {"a key that holds the text", R"("\"model\":\"m-two\"":1)"},
      {"user", R"("user":"bob")"},
      {"user as an object", R"("user":{"id":"bob","model":"m-two"})"},
      {"extra_body", R"("extra_body":{"model":"m-two"})"},
      {"stream_options", R"("stream_options":{"model":"m-two"})"},
  };
  for (const auto& [name, field] : nested) {
    for (const bool first : {true, false}) {
      suite.run(fmt::format("body: model inside {}, {} ours, means nothing", name, first ? "before" : "behind"), [&, field = field] {
        const std::string body = first ? "{" + field + R"(,"model":"m-one")" + tail : R"({"model":"m-one",)" + field + tail;
        return taken(scene, post(body, scene.alice), [&](const Seen& seen) -> std::string { return seen.body == body ? "" : "the body was changed"; });
      });
    }
  }
  suite.run("body: an unusual spelling is forwarded as it came", [&] {
    const std::string body = "{ \"messages\" : [ ] ,\t\"temperature\":1.50e0,\"model\"\n:\"m-one\" , \"x\" : \"\\u00e9\\/\" }";
    return taken(scene, post(body, scene.alice), [&](const Seen& seen) -> std::string { return seen.body == body ? "" : "the body was changed"; });
  });
  suite.run("body: form data is refused", [&] {
    return refused(scene, fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 11\r\n\r\nmodel=m-one",
                                      kChat, scene.alice), {400, 415});
  });
  suite.run("body: a compressed one is refused", [&] {
    return refused(scene, fmt::format("POST {} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x01",
                                      kChat, scene.alice), {400, 415});
  });
}

}  // namespace flexpert::bench::security
