"""The device functions that generated kernels call: small, named, with one meaning on a GPU and on the emulator."""

PRELUDE = r"""
template <class T, int N> struct alignas(sizeof(T) * N) Packet { T lane[N]; };

template <class To, class From> __device__ __forceinline__ To same_bits(From value) {
  static_assert(sizeof(To) == sizeof(From), "a bit cast keeps the size");
  To result;
  memcpy(&result, &value, sizeof(To));
  return result;
}

__device__ __forceinline__ float from_bfloat16(unsigned short bits) {
  return same_bits<float>((unsigned int)bits << 16);
}

// Round to nearest, ties to even; a NaN stays a (quiet) NaN.
__device__ __forceinline__ unsigned short bfloat16_bits(float value) {
  unsigned int bits = same_bits<unsigned int>(value);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return (unsigned short)(bits >> 16 | 0x40u);
  return (unsigned short)((bits + 0x7fffu + (bits >> 16 & 1u)) >> 16);
}

__device__ __forceinline__ float from_half(unsigned short bits) {
  unsigned int sign = (bits & 0x8000u) << 16, magnitude = bits & 0x7fffu;
  if (magnitude >= 0x7c00u) return same_bits<float>(sign | 0x7f800000u | (magnitude & 0x3ffu) << 13);
  if (magnitude >= 0x400u) return same_bits<float>(sign | ((magnitude << 13) + 0x38000000u));
  float subnormal = (float)magnitude * 0x1p-24f;
  return sign ? -subnormal : subnormal;
}

// Round to nearest, ties to even; the largest magnitudes become infinite.
__device__ __forceinline__ unsigned short half_bits(float value) {
  unsigned int bits = same_bits<unsigned int>(value), sign = bits >> 16 & 0x8000u, magnitude = bits & 0x7fffffffu;
  if (magnitude > 0x7f800000u) return (unsigned short)(sign | 0x7e00u);
  if (magnitude >= 0x477ff000u) return (unsigned short)(sign | 0x7c00u);
  if (magnitude < 0x38800000u) {
    float shifted = same_bits<float>(magnitude) + 0.5f;  // the sum's low bits are the subnormal, correctly rounded
    return (unsigned short)(sign | (same_bits<unsigned int>(shifted) - 0x3f000000u));
  }
  return (unsigned short)(sign | ((magnitude + 0xfffu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13));
}

template <class T> __device__ __forceinline__ T maximum(T a, T b) { return a != a || a > b ? a : b; }
template <class T> __device__ __forceinline__ T minimum(T a, T b) { return a != a || a < b ? a : b; }

template <class T> __device__ __forceinline__ T truncated_quotient(T a, T b) {
  if (b == 0) return 0;
  return (T)-1 < (T)0 && b == (T)-1 ? (T)(0 - (unsigned long long)a) : (T)(a / b);
}

template <class T> __device__ __forceinline__ T floored_remainder(T a, T b) {
  if (b == 0 || ((T)-1 < (T)0 && b == (T)-1)) return 0;
  T rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? (T)(rest + b) : rest;
}

template <class T> __device__ __forceinline__ T floored_quotient(T a, T b) {
  T quotient = truncated_quotient(a, b);
  return b != 0 && b != (T)-1 && a % b != 0 && (a < 0) != (b < 0) ? (T)(quotient - 1) : quotient;
}

__device__ __forceinline__ float floored_remainder(float a, float b) {
  float rest = fmodf(a, b);
  return rest != 0.0f && (rest < 0.0f) != (b < 0.0f) ? rest + b : rest;
}

__device__ __forceinline__ double floored_remainder(double a, double b) {
  double rest = fmod(a, b);
  return rest != 0.0 && (rest < 0.0) != (b < 0.0) ? rest + b : rest;
}

// Saturating conversion: out of range to the nearest bound, NaN to zero.
template <class To, class From> __device__ __forceinline__ To saturated(From value, To low, To high) {
  if (value != value) return 0;
  if (value <= (From)low) return low;
  if (value >= (From)high) return high;
  return (To)value;
}

// Threefry-2x32 with 20 rounds (Salmon et al., 2011): the low word of `counter` and `key` is the first lane.
__device__ __forceinline__ unsigned long long random_bits(unsigned long long counter, unsigned long long key) {
  const int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
  unsigned int keys[3] = {(unsigned int)key, (unsigned int)(key >> 32), 0};
  keys[2] = keys[0] ^ keys[1] ^ 0x1BD11BDAu;
  unsigned int a = (unsigned int)counter + keys[0], b = (unsigned int)(counter >> 32) + keys[1];
#pragma unroll
  for (int group = 0; group < 5; group++) {
#pragma unroll
    for (int round = 0; round < 4; round++) {
      int rotation = rotations[(group % 2) * 4 + round];
      a += b;
      b = (b << rotation | b >> (32 - rotation)) ^ a;
    }
    a += keys[(group + 1) % 3];
    b += keys[(group + 2) % 3] + group + 1;
  }
  return (unsigned long long)b << 32 | a;
}
"""
