//! The instructions of processors that the filter can work with.

use fearless_simd::Level;

/// Returns what this processor has, with its name, the best first: a filter takes that by itself. The last is code without
/// vectors, as for a processor that has none; the compiler may still use the vectors that every processor of its target has.
pub fn levels() -> Vec<(&'static str, Level)> {
    let best = Level::new();
    let without = ("no vectors", Level::fallback());
    #[cfg(target_arch = "x86_64")]
    {
        use fearless_simd::Simd as _;
        let avx512 = best.as_avx512().map(|avx512| ("AVX-512", avx512.level()));
        let avx2 = best.as_avx2().map(|avx2| ("AVX2", avx2.level()));
        avx512.into_iter().chain(avx2).chain([("SSE2", Level::baseline()), without]).collect()
    }
    #[cfg(not(target_arch = "x86_64"))]
    vec![("vectors", best), without]
}
