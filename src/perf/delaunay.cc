#include "perf/delaunay.h"

#include <cstddef>
#include <cstdio>
#include <map>
#include <memory>
#include <string>
#include <string_view>

extern "C" {
#include <libqhull_r/qhull_ra.h>
}

namespace flexpert::perf {
namespace {

/// A Qhull run: its memory, and its messages in a buffer of ours.
class Qhull {
 public:
  Qhull() : messages_(kMessageBytes, '\0'), sink_(fmemopen(messages_.data(), messages_.size(), "w")) {
    if (sink_ == nullptr) return;
    qh_zero(&qh_, sink_);
    ready_ = true;
  }
  Qhull(const Qhull&) = delete;
  Qhull& operator=(const Qhull&) = delete;
  ~Qhull() {
    if (ready_) {
      int kept = 0, bytes = 0;
      qh_freeqhull(&qh_, !qh_ALL);
      qh_memfreeshort(&qh_, &kept, &bytes);
    }
    if (sink_ != nullptr) std::fclose(sink_);
  }

  /// Returns Qhull's exit code; it catches its own errors inside this call and nowhere else.
  int run(std::vector<double>& coordinates) {
    if (!ready_) return qh_ERRmem;
    std::string command = "qhull d Qt Qbb Qc Qz Q12";
    return qh_new_qhull(&qh_, 2, static_cast<int>(coordinates.size() / 2), coordinates.data(), False, command.data(), nullptr, sink_);
  }

  /// Returns the first line that Qhull wrote.
  [[nodiscard]] std::string message() {
    if (sink_ != nullptr) std::fflush(sink_);
    std::string_view text(messages_.data());
    while (!text.empty() && text.front() == '\n') text.remove_prefix(1);
    return std::string(text.substr(0, text.find('\n')));
  }

  [[nodiscard]] const qhT& state() const { return qh_; }

 private:
  static constexpr std::size_t kMessageBytes = 4096;

  qhT qh_{};
  std::string messages_;
  std::FILE* sink_ = nullptr;
  bool ready_ = false;
};

bool is_lower(const facetT& facet) { return !facet.upperdelaunay; }

}  // namespace

Result<std::vector<Triangle>> delaunay(const std::vector<PlanePoint>& points) {
  if (points.size() < 3) return fail(ErrorCode::kInvalidArgument, "a triangulation needs at least 3 points, there are {}", points.size());
  std::vector<double> coordinates;
  coordinates.reserve(points.size() * 2);
  for (const PlanePoint& point : points) {
    coordinates.push_back(point.x);
    coordinates.push_back(point.y);
  }
  const auto qhull = std::make_unique<Qhull>();
  if (const int code = qhull->run(coordinates); code != 0) {
    return fail(ErrorCode::kInvalidArgument, "the points cannot be triangulated (are they all on one line?): {}", qhull->message());
  }

  const qhT& qh = qhull->state();
  std::map<unsigned, std::uint32_t> index_of;  // by the facet's id
  for (const facetT* facet = qh.facet_list; facet != nullptr && facet->next != nullptr; facet = facet->next) {
    if (!is_lower(*facet)) continue;
    if (!facet->simplicial) return fail(ErrorCode::kInvalidArgument,
                                        "the points cannot be triangulated: Qhull left a facet of more than three corners");
    index_of.emplace(facet->id, static_cast<std::uint32_t>(index_of.size()));
  }
  std::vector<Triangle> triangles;
  triangles.reserve(index_of.size());
  for (const facetT* facet = qh.facet_list; facet != nullptr && facet->next != nullptr; facet = facet->next) {
    if (!is_lower(*facet)) continue;
    Triangle triangle;
    for (std::size_t k = 0; k < 3; ++k) {
      const auto* vertex = static_cast<const vertexT*>(facet->vertices->e[k].p);
      const std::ptrdiff_t point = (vertex->point - qh.first_point) / qh.hull_dim;
      if (point < 0 || static_cast<std::size_t>(point) >= points.size()) {
        return fail(ErrorCode::kInvalidArgument, "the points cannot be triangulated: Qhull's triangle has a corner that is none of them");
      }
      triangle.corner[k] = static_cast<std::uint32_t>(point);
      const auto* neighbour = static_cast<const facetT*>(facet->neighbors->e[k].p);
      if (const auto found = index_of.find(neighbour->id); found != index_of.end()) triangle.neighbour[k] = found->second;
    }
    triangles.push_back(triangle);
  }
  return triangles;
}

}  // namespace flexpert::perf
