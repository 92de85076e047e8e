#include <chrono>

#include <fmt/format.h>

#include "security/jwt_maker.h"
#include "security/scene.h"

/// JWT confusion: tokens that some verifier somewhere has taken.
namespace flexpert::bench::security {
namespace {

std::int64_t now_s() {
  return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch()).count();
}

std::string claims(const std::string& more = "", const std::string& roles = R"("roles":["basic"],)") {
  return fmt::format(R"({{"iss":"https://issuer.test","aud":"flexpert","sub":"erin","tenant":"acme",{}"iat":{},"exp":{}{}}})", roles, now_s() - 5, now_s() + 600,
                     more);
}

std::string ask(std::string_view token, std::string_view model = "m-one") { return request("POST", kChat, token, chat(model)); }

}  // namespace

void jwt_cases(Suite& suite, Scene& scene) {
  const std::string rs = R"({"alg":"RS256","typ":"JWT","kid":"rsa-1"})";
  const std::string es = R"({"alg":"ES256","typ":"JWT","kid":"ec-1"})";
  const std::string evil_rsa = make_rsa_pem();
  const std::string evil_ec = make_ec_pem();
  const std::string good = sign(rs, claims(), "RS256", scene.rsa_pem);
  suite.run("jwt: a good RS256", [&] { return taken(scene, ask(good)); });
  suite.run("jwt: a good ES256", [&] { return taken(scene, ask(sign(es, claims(), "ES256", scene.ec_pem))); });
  suite.run("jwt: opens only the models of its role", [&] { return refused(scene, ask(good, "m-two"), {403, 404}); });
  suite.run("jwt: a role that its issuer may not give counts for nothing", [&] {
    return refused(scene, ask(sign(rs, claims("", R"("roles":["basic","premium","admin"],)"), "RS256", scene.rsa_pem), "m-two"), {403, 404});
  });
  suite.run("jwt: roles as one text with such a role", [&] {
    return refused(scene, ask(sign(rs, claims("", R"("roles":"basic premium",)"), "RS256", scene.rsa_pem), "m-two"), {403, 404});
  });
  suite.run("jwt: an admin role in a token opens no admin listener", [&]() -> std::string {
    const WireOutcome outcome = attack(scene.admin, request("GET", "/admin/v1/status", sign(rs, claims("", R"("roles":["admin"],)"), "RS256", scene.rsa_pem), ""));
    return outcome.status() >= 400 ? "" : fmt::format("status {}", outcome.status());
  });

  const auto bad = [&](const std::string& name, const std::string& token) {
    suite.run("jwt: " + name, [&] { return refused(scene, ask(token), {400, 401, 431}); });
  };
  const std::size_t dot = good.rfind('.');
  const std::string parts = good.substr(0, dot);
  const std::string signature = good.substr(dot + 1);
  for (const std::string none : {"none", "None", "NONE", "nOnE", "none ", ""}) {
    bad(fmt::format("alg {:?} without a signature", none), sign(fmt::format(R"({{"alg":"{}","typ":"JWT","kid":"rsa-1"}})", none), claims(), "none", ""));
    bad(fmt::format("alg {:?} with a signature", none), to_base64url(fmt::format(R"({{"alg":"{}","kid":"rsa-1"}})", none)) + "." + to_base64url(claims()) + "." + signature);
  }
  bad("HS256 with the public key's PEM as the secret", sign(R"({"alg":"HS256","kid":"rsa-1"})", claims(), "HS256", scene.rsa_public_pem));
  bad("HS256 with the public key's JWK as the secret", sign(R"({"alg":"HS256","kid":"rsa-1"})", claims(), "HS256", rsa_jwk(scene.rsa_pem, "rsa-1")));
  bad("HS256 with an empty secret", sign(R"({"alg":"HS256","kid":"rsa-1"})", claims(), "HS256", ""));
  bad("HS256 with the kid as the secret", sign(R"({"alg":"HS256","kid":"rsa-1"})", claims(), "HS256", "rsa-1"));
  bad("RS384, which is not allowed", sign(R"({"alg":"RS384","kid":"rsa-1"})", claims(), "RS384", scene.rsa_pem));
  bad("PS256, which is not allowed", sign(R"({"alg":"PS256","kid":"rsa-1"})", claims(), "PS256", scene.rsa_pem));
  bad("RS256 header over a PS256 signature", to_base64url(rs) + "." + to_base64url(claims()) + "." + to_base64url(signature_of(to_base64url(rs) + "." + to_base64url(claims()), "PS256", scene.rsa_pem)));
  bad("RS256 with the EC key's kid", sign(R"({"alg":"RS256","kid":"ec-1"})", claims(), "RS256", scene.rsa_pem));
  bad("ES256 with the RSA key's kid", sign(R"({"alg":"ES256","kid":"rsa-1"})", claims(), "ES256", scene.ec_pem));
  bad("rs256 in small letters", sign(R"({"alg":"rs256","kid":"rsa-1"})", claims(), "RS256", scene.rsa_pem));
  bad("no alg", sign(R"({"kid":"rsa-1"})", claims(), "RS256", scene.rsa_pem));
  bad("alg is a list", sign(R"({"alg":["RS256"],"kid":"rsa-1"})", claims(), "RS256", scene.rsa_pem));
  bad("alg is null", sign(R"({"alg":null,"kid":"rsa-1"})", claims(), "RS256", scene.rsa_pem));
  bad("alg twice", sign(R"({"alg":"none","alg":"RS256","kid":"rsa-1"})", claims(), "RS256", scene.rsa_pem));
  bad("kid twice", sign(R"({"alg":"RS256","kid":"evil","kid":"rsa-1"})", claims(), "RS256", scene.rsa_pem));
  for (const std::string kid : {"unknown", "../../../../dev/null", "/dev/null", "' OR 1=1 --", "http://127.0.0.1/evil.jwks", "rsa-1\\u0000", "|/usr/bin/id", "RSA-1"})
    bad(fmt::format("kid {:?}", kid), sign(fmt::format(R"({{"alg":"RS256","kid":"{}"}})", kid), claims(), "RS256", evil_rsa));
  for (const std::string kid : {"1", "null", "[\"rsa-1\"]", "{}", "true"})
    bad("kid is " + kid, sign(fmt::format(R"({{"alg":"RS256","kid":{}}})", kid), claims(), "RS256", evil_rsa));
  bad("another RSA key under the right kid", sign(rs, claims(), "RS256", evil_rsa));
  bad("another EC key under the right kid", sign(es, claims(), "ES256", evil_ec));
  bad("its own key in jwk", sign(fmt::format(R"({{"alg":"RS256","kid":"rsa-1","jwk":{}}})", rsa_jwk(evil_rsa, "rsa-1")), claims(), "RS256", evil_rsa));
  bad("its own key in jwk, without kid", sign(fmt::format(R"({{"alg":"RS256","jwk":{}}})", rsa_jwk(evil_rsa, "rsa-1")), claims(), "RS256", evil_rsa));
  const std::string home = fmt::format("http://127.0.0.1:{}/jwks.json", scene.plain.port());
  for (const std::string member : {"jku", "x5u"}) {
    suite.run("jwt: " + member + " is not fetched", [&]() -> std::string {
      const int before = scene.plain.connections();
      const std::string problem =
          refused(scene, ask(sign(fmt::format(R"({{"alg":"RS256","kid":"rsa-1","{}":"{}"}})", member, home), claims(), "RS256", evil_rsa)), {401});
      if (!problem.empty()) return problem;
      return scene.plain.connections() == before ? "" : "somebody connected to it";
    });
  }
  bad("x5c", sign(R"({"alg":"RS256","kid":"rsa-1","x5c":["MIIB"]})", claims(), "RS256", evil_rsa));
  bad("crit", sign(R"({"alg":"RS256","kid":"rsa-1","crit":["exp"],"exp":1})", claims(), "RS256", scene.rsa_pem));
  bad("b64 false", sign(R"({"alg":"RS256","kid":"rsa-1","b64":false,"crit":["b64"]})", claims(), "RS256", scene.rsa_pem));
  bad("the signature is gone", parts + ".");
  bad("the signature and its dot are gone", parts);
  bad("the signature is cut", good.substr(0, good.size() - 4));
  bad("a signature changed", parts + "." + (signature[0] == 'A' ? "B" : "A") + signature.substr(1));
  bad("padding behind", good + "==");
  bad("a fourth part", good + ".AAAA");
  bad("five parts, as JWE", "eyJhbGciOiJkaXIifQ..AAAA.AAAA.AAAA");
  bad("base64 instead of base64url", parts + "." + signature.substr(0, 10) + "+/" + signature.substr(12));
  bad("a line break inside", parts.substr(0, 20) + "%0a" + good.substr(20));
  bad("a space inside", parts.substr(0, 20) + " " + good.substr(20));
  bad("another payload under the signature", to_base64url(rs) + "." + to_base64url(claims(R"(,"x":1)")) + "." + signature);
  bad("another header under the signature", to_base64url(es) + "." + parts.substr(parts.find('.') + 1) + "." + signature);
  bad("the header is a list", sign("[]", claims(), "RS256", scene.rsa_pem));
  bad("the header is no JSON", sign("{", claims(), "RS256", scene.rsa_pem));
  bad("the payload is a list", sign(rs, "[]", "RS256", scene.rsa_pem));
  bad("the payload is a text", sign(rs, "\"erin\"", "RS256", scene.rsa_pem));
  bad("the payload is no JSON", sign(rs, "{\"sub\":", "RS256", scene.rsa_pem));
  bad("the payload is not UTF-8", sign(rs, claims(",\"x\":\"\xff\""), "RS256", scene.rsa_pem));
  bad("the payload is nested deeply", sign(rs, claims(",\"x\":" + std::string(4000, '[') + std::string(4000, ']')), "RS256", scene.rsa_pem));
  bad("sub twice", sign(rs, claims(R"(,"sub":"root")"), "RS256", scene.rsa_pem));
  bad("iss twice", sign(rs, claims(R"(,"iss":"https://other.test")"), "RS256", scene.rsa_pem));
  bad("20 KiB", sign(rs, claims(",\"x\":\"" + std::string(20'000, 'x') + "\""), "RS256", scene.rsa_pem));
  bad("an ES256 signature of zeros", to_base64url(es) + "." + to_base64url(claims()) + "." + to_base64url(std::string(64, '\0')));
  bad("an ES256 signature in DER", to_base64url(es) + "." + to_base64url(claims()) + "." + to_base64url("\x30\x06\x02\x01\x01\x02\x01\x01"));

  const auto told = [&](const std::string& name, const std::string& payload) { bad(name, sign(rs, payload, "RS256", scene.rsa_pem)); };
  const std::string head = R"({"sub":"erin","tenant":"acme","roles":["basic"],)";
  const std::string later = fmt::format(R"("exp":{})", now_s() + 600);
  const std::string who = R"("iss":"https://issuer.test","aud":"flexpert",)";
  told("expired", head + who + fmt::format(R"("exp":{}}})", now_s() - 100));
  told("no exp", head + R"("iss":"https://issuer.test","aud":"flexpert"})");
  told("exp is a text", head + who + fmt::format(R"("exp":"{}"}})", now_s() + 600));
  told("exp is null", head + who + R"("exp":null})");
  told("exp is negative", head + who + R"("exp":-1})");
  told("exp is beyond all numbers", head + who + R"("exp":1e400})");
  told("exp is true", head + who + R"("exp":true})");
  told("not yet valid", head + who + later + fmt::format(R"(,"nbf":{}}})", now_s() + 300));
  told("issued in the future", head + who + later + fmt::format(R"(,"iat":{}}})", now_s() + 300));
  told("another issuer", head + R"("iss":"https://other.test","aud":"flexpert",)" + later + "}");
  told("the issuer with a slash behind", head + R"("iss":"https://issuer.test/","aud":"flexpert",)" + later + "}");
  told("the issuer in capitals", head + R"("iss":"HTTPS://ISSUER.TEST","aud":"flexpert",)" + later + "}");
  told("the issuer as a list", head + R"("iss":["https://issuer.test"],"aud":"flexpert",)" + later + "}");
  told("no issuer", head + R"("aud":"flexpert",)" + later + "}");
  told("another audience", head + R"("iss":"https://issuer.test","aud":"other",)" + later + "}");
  told("no audience", head + R"("iss":"https://issuer.test",)" + later + "}");
  told("an empty list of audiences", head + R"("iss":"https://issuer.test","aud":[],)" + later + "}");
  told("an audience that begins like ours", head + R"("iss":"https://issuer.test","aud":"flexpert.evil",)" + later + "}");
  told("audiences as an object", head + R"("iss":"https://issuer.test","aud":{"flexpert":1},)" + later + "}");
  told("no sub", R"({"tenant":"acme","roles":["basic"],)" + who + later + "}");
  told("an empty sub", R"({"sub":"","tenant":"acme","roles":["basic"],)" + who + later + "}");
  told("sub is a number", R"({"sub":1,"tenant":"acme","roles":["basic"],)" + who + later + "}");
  told("a sub with a line break", R"({"sub":"erin\nroot","tenant":"acme","roles":["basic"],)" + who + later + "}");
}

}  // namespace flexpert::bench::security
