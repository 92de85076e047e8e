// The kernels that work on eight lanes, included once per instruction set by a file that has defined in its namespace:
//   Lanes                      eight floats
//   zero() set1(s) load(p) store(p, v) load_part(p, n) store_part(p, v, n)   (missing lanes read as zero)
//   add sub mul div fma(a, b, c) = a * b + c
//   least(a, b) greatest(a, b): the second operand where either is NaN
//   scale_by_power(p, t)       p * 2^k, where t = kRounder + k
// One source, so that every instruction set does the same operations in the same order.

inline constexpr std::size_t kLanes = 8;

/// exp by range reduction (x = k ln 2 + r, |r| <= ln 2 / 2) and the Taylor polynomial of degree 7, whose truncation is
/// below 0.1 ulp there. Under- and overflow go to 0 and infinity; NaN stays NaN.
FLEXPERT_KERNEL_INLINE Lanes exp_lanes(Lanes x) {
  x = greatest(set1(-104.0F), least(set1(89.0F), x));
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  const Lanes rounded = fma(x, set1(0x1.715476p+0F), set1(kRounder));
  const Lanes k = sub(rounded, set1(kRounder));
  Lanes r = fma(k, set1(-0x1.62e400p-1F), x);
  r = fma(k, set1(-0x1.7f7d1cp-20F), r);
  Lanes p = set1(1.0F / 5040);
  p = fma(p, r, set1(1.0F / 720));
  p = fma(p, r, set1(1.0F / 120));
  p = fma(p, r, set1(1.0F / 24));
  p = fma(p, r, set1(1.0F / 6));
  p = fma(p, r, set1(0.5F));
  // 1 + (r + r^2 p): the small part is finished before it meets the 1.
  p = fma(mul(r, r), p, r);
  p = add(p, set1(1.0F));
  return scale_by_power(p, rounded);
}

/// Sums the lanes as a fixed tree.
FLEXPERT_KERNEL_INLINE float sum_lanes(Lanes v) {
  float s[kLanes];
  store(s, v);
  return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

FLEXPERT_KERNEL_INLINE float greatest_lane(Lanes v) {
  float s[kLanes];
  store(s, v);
  float m = s[0];
  for (std::size_t j = 1; j < kLanes; ++j) m = s[j] > m ? s[j] : m;
  return m;
}

/// x[i] = exp(x[i] - max x); returns the sum. Lane j sums the elements i = j mod 8 in ascending order.
FLEXPERT_KERNEL_INLINE float exp_minus_max(float* x, std::size_t count) {
  Lanes most = set1(-__builtin_inff());
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) most = greatest(most, load(x + i));
  float top = greatest_lane(most);
  for (; i < count; ++i) top = x[i] > top ? x[i] : top;
  const Lanes shift = set1(top);
  Lanes sum = zero();
  for (i = 0; i + kLanes <= count; i += kLanes) {
    const Lanes e = exp_lanes(sub(load(x + i), shift));
    store(x + i, e);
    sum = add(sum, e);
  }
  if (i < count) {
    store_part(x + i, exp_lanes(sub(load_part(x + i, count - i), shift)), count - i);
    sum = add(sum, load_part(x + i, count - i));
  }
  return sum_lanes(sum);
}

void exponentials(const float* x, std::size_t count, float* y) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(y + i, exp_lanes(load(x + i)));
  if (i < count) store_part(y + i, exp_lanes(load_part(x + i, count - i)), count - i);
}

FLEXPERT_KERNEL_INLINE Lanes silu_times(Lanes gate, Lanes up) {
  const Lanes one = set1(1.0F);
  return mul(div(gate, add(one, exp_lanes(sub(zero(), gate)))), up);
}

void silu_multiply(float* gate, const float* up, std::size_t count) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(gate + i, silu_times(load(gate + i), load(up + i)));
  if (i < count) store_part(gate + i, silu_times(load_part(gate + i, count - i), load_part(up + i, count - i)), count - i);
}

void softmax(float* x, std::size_t count) {
  const Lanes sum = set1(exp_minus_max(x, count));
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(x + i, div(load(x + i), sum));
  if (i < count) store_part(x + i, div(load_part(x + i, count - i), sum), count - i);
}

void rms_norm(const float* x, const float* weight, float epsilon, std::size_t count, float* y) {
  Lanes squares = zero();
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) {
    const Lanes v = load(x + i);
    squares = fma(v, v, squares);
  }
  if (i < count) {
    const Lanes v = load_part(x + i, count - i);
    squares = fma(v, v, squares);
  }
  const Lanes inverse = set1(1.0F / std::sqrt(sum_lanes(squares) / static_cast<float>(count) + epsilon));
  for (i = 0; i + kLanes <= count; i += kLanes) store(y + i, mul(mul(load(x + i), inverse), load(weight + i)));
  if (i < count) store_part(y + i, mul(mul(load_part(x + i, count - i), inverse), load_part(weight + i, count - i)), count - i);
}

/// Rotates the pairs (x[i], x[i + half]).
void rotate(float* x, const float* cosines, const float* sines, std::size_t half) {
  for (std::size_t i = 0; i < half; i += kLanes) {
    const std::size_t n = half - i < kLanes ? half - i : kLanes;
    const Lanes a = load_part(x + i, n);
    const Lanes b = load_part(x + half + i, n);
    const Lanes c = load_part(cosines + i, n);
    const Lanes s = load_part(sines + i, n);
    store_part(x + i, sub(mul(a, c), mul(b, s)), n);
    store_part(x + half + i, fma(b, c, mul(a, s)), n);
  }
}

void add_scaled(float scale, const float* x, std::size_t count, float* y) {
  const Lanes factor = set1(scale);
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(y + i, fma(factor, load(x + i), load(y + i)));
  if (i < count) store_part(y + i, fma(factor, load_part(x + i, count - i), load_part(y + i, count - i)), count - i);
}

void add_to(const float* x, std::size_t count, float* y) {
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) store(y + i, add(load(y + i), load(x + i)));
  if (i < count) store_part(y + i, add(load_part(y + i, count - i), load_part(x + i, count - i)), count - i);
}

FLEXPERT_KERNEL_INLINE float dot(const float* a, const float* b, std::size_t count) {
  Lanes sum = zero();
  std::size_t i = 0;
  for (; i + kLanes <= count; i += kLanes) sum = fma(load(a + i), load(b + i), sum);
  if (i < count) sum = fma(load_part(a + i, count - i), load_part(b + i, count - i), sum);
  return sum_lanes(sum);
}

FLEXPERT_KERNEL_INLINE std::size_t offset_of(const HeadCache& cache, std::size_t position) {
  return (cache.blocks[position / cache.block_tokens] * cache.block_tokens + position % cache.block_tokens) * cache.token_stride;
}

/// out = softmax(scale * query . keys) . values over positions [0, length), summed by ascending position.
void attend_head(const float* query, const HeadCache& cache, std::size_t length, std::size_t head_dim, float scale, float* out,
                 float* scores) {
  for (std::size_t p = 0; p < length; ++p) scores[p] = dot(query, cache.keys + offset_of(cache, p), head_dim) * scale;
  const Lanes sum = set1(exp_minus_max(scores, length));
  for (std::size_t d = 0; d < head_dim; d += 4 * kLanes) {
    Lanes acc[4] = {zero(), zero(), zero(), zero()};
    if (d + 4 * kLanes <= head_dim) {
      for (std::size_t p = 0; p < length; ++p) {
        const float* value = cache.values + offset_of(cache, p) + d;
        const Lanes e = set1(scores[p]);
        for (std::size_t j = 0; j < 4; ++j) acc[j] = fma(e, load(value + j * kLanes), acc[j]);
      }
      for (std::size_t j = 0; j < 4; ++j) store(out + d + j * kLanes, div(acc[j], sum));
    } else {
      for (std::size_t i = d; i < head_dim; i += kLanes) {
        const std::size_t n = head_dim - i < kLanes ? head_dim - i : kLanes;
        Lanes part = zero();
        for (std::size_t p = 0; p < length; ++p)
          part = fma(set1(scores[p]), load_part(cache.values + offset_of(cache, p) + i, n), part);
        store_part(out + i, div(part, sum), n);
      }
    }
  }
}
