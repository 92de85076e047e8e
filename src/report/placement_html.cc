#include "report/placement_html.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "report/html_text.h"
#include "report/placement_assets.h"
#include "report/placement_chart.h"
#include "report/placement_data.h"
#include "report/placement_tables.h"

namespace flexpert::report {

namespace {

/// How much longer than an even one a layer takes that waits for its busiest device.
std::string over_mean(double balancedness) { return balancedness > 0 ? fmt::format("{:.1f} %", (1 / balancedness - 1) * 100) : "?"; }

struct Card {
  std::string name;
  std::string value;
  std::string was;
};

std::string cards(const std::vector<Card>& all) {
  std::string html = "<div class=\"cards\">\n";
  for (const Card& card : all)
    html += fmt::format("<div class=\"card\"><div class=\"name\">{}</div><div class=\"value\">{}</div><div class=\"was\">{}</div></div>\n",
                        html_escaped(card.name), html_escaped(card.value), html_escaped(card.was));
  return html + "</div>\n";
}

std::string headline(const PlacementPlan& plan, const PlacementPage& page) {
  const Balance& now = plan.balance;
  std::string lead =
      fmt::format("On the mean of the layers, the busiest GPU carries <b>{}</b> more than an even share", over_mean(now.balancedness));
  if (page.before)
    lead += fmt::format("; with the layout before ({}) it is <b>{}</b>", html_escaped(page.before->name),
                        over_mean(page.before->balance.balancedness));
  lead += ".";
  if (!plan.worthwhile) lead += " The plan keeps the layout in force.";
  const auto was = [&](const std::string& text) { return page.before ? "before " + text : std::string(); };
  const Balance none;
  const Balance& then = page.before ? page.before->balance : none;
  std::vector<Card> all = {
      {"balancedness (mean)", balancedness_text(now.balancedness), was(balancedness_text(then.balancedness))},
      {fmt::format("worst layer ({})", now.worst_layer), balancedness_text(now.worst), was(balancedness_text(then.worst))},
      {"gap to the proven bound", percent_text(now.gap), "no layout exceeds " + balancedness_text(now.bound)},
      {"replicas beside their like", grouped(now.duplicates), was(grouped(then.duplicates))}};
  const std::uint64_t slots = plan.moves.unchanged + plan.moves.changed();
  if (slots > 0)
    all.push_back({"slots that change", grouped(plan.moves.changed()),
                   percent_text(static_cast<double>(plan.moves.changed()) / static_cast<double>(slots)) + " of " + grouped(slots)});
  return fmt::format("<p class=\"lead\">{}</p>\n{}", lead, cards(all));
}

std::string facts(const PlacementPlan& plan, const PlacementPage& page) {
  std::string html = "<div class=\"panel\"><dl>\n";
  for (const auto& [name, text] : page.facts) html += fmt::format("<dt>{}</dt><dd>{}</dd>\n", html_escaped(name), html_escaped(text));
  html += "</dl>\n";
  if (!plan.reasons.empty()) {
    html += "<ul class=\"reasons\">\n";
    for (const Reason& reason : plan.reasons) html += fmt::format("<li>{}</li>\n", html_escaped(reason.text));
    html += "</ul>\n";
  }
  return html + "</div>\n";
}

std::string map_panel(std::string_view what, std::string_view side, const std::string& name, const Balance& balance) {
  return fmt::format(
      "<div class=\"panel\"><div class=\"map-title\">{0}<span>{1}</span></div><canvas id=\"{2}-{3}\" role=\"img\" aria-label=\"Load of "
      "each "
      "{4}, {0}\"></canvas>{5}</div>\n",
      html_escaped(name), "balancedness " + balancedness_text(balance.balancedness) + ", worst " + balancedness_text(balance.worst), what,
      side, what == "gpus" ? "GPU and layer" : "expert and layer",
      what == "gpus" ? fmt::format("<div class=\"legend\" id=\"gpu-legend-{}\"></div>", side) : "");
}

constexpr const char* kScaleChoice =
    "<div class=\"controls\"><button data-scale=\"shared\" aria-pressed=\"true\">one colour scale</button>"
    "<button data-scale=\"own\" aria-pressed=\"false\">a scale for each map</button></div>\n";

std::string heat_maps(const PlacementPlan& plan, const PlacementPage& page) {
  std::string gpus;
  std::string experts;
  if (page.before) {
    gpus += map_panel("gpus", "before", "Before: " + page.before->name, page.before->balance);
    experts += map_panel("experts", "before", "Before: " + page.before->name, page.before->balance);
  }
  gpus += map_panel("gpus", "after", "Plan", plan.balance);
  experts += map_panel("experts", "after", "Plan", plan.balance);
  return fmt::format(
      "<h2>Load of each GPU</h2>\n<p class=\"note\">A row is a layer, a column a GPU, the colour its load against the layer's mean: each "
      "layer "
      "waits for its reddest cell.</p>\n{}<div class=\"pair\">{}</div>\n"
      "<h2>Load of each expert</h2>\n<p class=\"note\">A row is a layer, a column an expert, the colour what one replica of it carries, "
      "against "
      "the mean load of a GPU. More replicas make a hot expert cooler.</p>\n"
      "<div class=\"controls\"><button data-order=\"number\" aria-pressed=\"true\">experts by number</button>"
      "<button data-order=\"load\" aria-pressed=\"false\">hottest first</button></div>\n"
      "<div class=\"legend\" id=\"expert-legend\"></div>\n{}"
      "<noscript><p>The heat maps and the list of moves are drawn by a script inside this file.</p></noscript>\n",
      page.before ? kScaleChoice : "", gpus, experts);
}

std::string bounds(const PlacementPlan& plan, const PlacementPage& page) {
  const Balance* before = page.before ? &page.before->balance : nullptr;
  std::string html =
      "<h2>Each layer against its bound</h2>\n<p class=\"note\">Balancedness is mean over max of the GPUs' loads: 1 is even. No layout of "
      "these "
      "slots can be above the tick: that is proven, not estimated.</p>\n<div class=\"panel\"><div class=\"key\">"
      "<span><svg width=\"12\" height=\"12\" class=\"chart\" style=\"display:inline;width:12px\"><circle class=\"after\" cx=\"6\" cy=\"6\" "
      "r=\"4.5\"/></svg>plan</span>"
      "<span><svg width=\"16\" height=\"12\" class=\"chart\" style=\"display:inline;width:16px\"><line class=\"bound\" x1=\"1\" x2=\"15\" "
      "y1=\"6\" y2=\"6\"/></svg>proven bound</span>";
  if (before != nullptr)
    html +=
        "<span><svg width=\"12\" height=\"12\" class=\"chart\" style=\"display:inline;width:12px\"><circle class=\"before\" cx=\"6\" "
        "cy=\"6\" r=\"4.5\"/></svg>before</span>";
  html += "</div>\n" + balance_chart(plan.balance, before);
  html += "<details><summary class=\"note\">the same as a table</summary><div class=\"scroll\"><table><thead><tr><th>layer</th>";
  if (before != nullptr) html += "<th>before</th>";
  html += "<th>plan</th><th>bound</th><th>gap</th><th>busiest GPU</th><th>its load</th><th>mean load</th></tr></thead><tbody>\n";
  auto out = std::back_inserter(html);
  for (std::size_t l = 0; l < plan.balance.layers.size(); ++l) {
    const LayerBalance& layer = plan.balance.layers[l];
    const double bound = layer.lower_bound > 0 ? layer.mean_load / layer.lower_bound : 1;
    const double gap = layer.lower_bound > 0 ? layer.max_load / layer.lower_bound - 1 : 0;
    fmt::format_to(out, "<tr><td>{}</td>", l);
    if (before != nullptr && l < before->layers.size())
      fmt::format_to(out, "<td>{}</td>", balancedness_text(before->layers[l].balancedness()));
    fmt::format_to(out, "<td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{:.1f}</td><td>{:.1f}</td></tr>\n",
                   balancedness_text(layer.balancedness()), balancedness_text(bound), percent_text(gap), layer.busiest, layer.max_load,
                   layer.mean_load);
  }
  return html + "</tbody></table></div></details></div>\n";
}

std::string moves(const PlacementPlan& plan) {
  const MoveList& list = plan.moves;
  const std::uint64_t slots = list.unchanged + list.changed();
  if (slots == 0) return {};
  struct Kind {
    const char* name;
    const char* colour;
    std::uint64_t count;
  };
  const Kind kinds[] = {{"unchanged", "none", list.unchanged},
                        {"within the GPU", "accent", list.same_device},
                        {"within the node", "cool", list.same_node},
                        {"across nodes", "mid", list.cross_node},
                        {"from storage", "hot", list.load}};
  std::string bar;
  std::string key;
  for (const Kind& kind : kinds) {
    const double share = static_cast<double>(kind.count) / static_cast<double>(slots);
    if (kind.count > 0) bar += fmt::format("<b style=\"width:{:.3f}%;background:var(--{})\"></b>", share * 100, kind.colour);
    key += fmt::format("<span><i class=\"swatch\" style=\"background:var(--{})\"></i>{} {} ({})</span>", kind.colour, kind.name,
                       grouped(kind.count), percent_text(share));
  }
  std::string html = fmt::format(
      "<h2>Moves</h2>\n<p class=\"note\">In an order that can be carried out one by one. {}</p>\n<div class=\"panel\"><div "
      "class=\"bar\">{}</div>"
      "<div class=\"key\">{}</div>\n",
      list.bytes > 0 ? html_escaped(bytes_text(list.bytes) + " travel.") : "", bar, key);
  if (!list.moves.empty())
    html +=
        "<div class=\"controls\"><select id=\"move-layer\" aria-label=\"layer\"><option value=\"\">all layers</option></select>"
        "<select id=\"move-kind\" aria-label=\"kind of move\"><option value=\"\">all kinds</option></select>"
        "<button id=\"move-back\" aria-label=\"previous page\">&#8592;</button><button id=\"move-on\" aria-label=\"next "
        "page\">&#8594;</button>"
        "<span class=\"soft\" id=\"move-page\"></span></div>\n"
        "<div class=\"scroll\"><table><thead><tr><th>move</th><th>layer</th><th>GPU</th><th>slot</th><th>had expert</th><th>gets "
        "expert</th>"
        "<th>from GPU</th><th class=\"text\">how</th></tr></thead><tbody id=\"move-rows\"></tbody></table></div>\n";
  return html + "</div>\n";
}

}  // namespace

std::string placement_html(const PlacementPlan& plan, const ExpertCluster& cluster, const ExpertCounts& counts, const PlacementPage& page) {
  const std::string title = html_escaped(page.title);
  std::string html =
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, "
      "initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
      "base-uri 'none'; form-action 'none'\">\n"
      "<meta name=\"referrer\" content=\"no-referrer\">\n<title>" +
      title + "</title>\n<style>\n";
  html += placement_style();
  html += "</style>\n</head>\n<body>\n<main>\n<h1>" + title + "</h1>\n";
  html += fmt::format("<p class=\"soft\">{} layers, {} experts, {} slots a layer on {} GPUs, mode {}</p>\n", counts.geometry.layers,
                      counts.geometry.experts, plan.layout.slots(), plan.layout.devices(), html_escaped(plan.mode));
  html += headline(plan, page) + facts(plan, page) + heat_maps(plan, page) + bounds(plan, page) + moves(plan);
  html +=
      "<footer>Made by flexpert place. Loads are counted tokens, split evenly over an expert's replicas; what a dispatch makes of them is "
      "measured by "
      "flexpert place replay.</footer>\n</main>\n<div id=\"tip\" hidden></div>\n<script type=\"application/json\" id=\"data\">";
  html += placement_data(plan, cluster, counts, page);
  html += "</script>\n<script>\n";
  html += placement_script();
  return html + "</script>\n</body>\n</html>\n";
}

}  // namespace flexpert::report
