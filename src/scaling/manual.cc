#include "scaling/manual.h"

#include "fleet/decision.h"

namespace flexpert::scaling {
namespace {

class ManualPolicy final : public Policy {
 public:
  explicit ManualPolicy(const ManualOptions& options) : options_(options) {}
  [[nodiscard]] std::string_view kind() const override { return "manual"; }

  Proposal propose(const PolicyInput&) override {
    Proposal out;
    out.replicas = options_.replicas;
    out.reasons.push_back({"manual", fmt::format("{} are configured", options_.replicas), {{"replicas", options_.replicas}}});
    return out;
  }

  void save(StateWriter& writer) const override { writer.tag("manual/1"); }
  void restore(StateReader& reader) override { reader.tag("manual/1"); }

 private:
  ManualOptions options_;
};

}  // namespace

std::unique_ptr<Policy> make_manual_policy(const ManualOptions& options) { return std::make_unique<ManualPolicy>(options); }

}  // namespace flexpert::scaling
