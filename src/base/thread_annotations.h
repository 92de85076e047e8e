#pragma once

// Clang's thread-safety analysis (preset `clang`); nothing under g++.
#if defined(__clang__)
#define FLEXPERT_THREAD_ANNOTATION(x) __attribute__((x))
#else
#define FLEXPERT_THREAD_ANNOTATION(x)
#endif

#define GUARDED_BY(x) FLEXPERT_THREAD_ANNOTATION(guarded_by(x))
#define REQUIRES(...) FLEXPERT_THREAD_ANNOTATION(requires_capability(__VA_ARGS__))
#define CAPABILITY(x) FLEXPERT_THREAD_ANNOTATION(capability(x))
#define SCOPED_CAPABILITY FLEXPERT_THREAD_ANNOTATION(scoped_lockable)
#define ACQUIRE(...) FLEXPERT_THREAD_ANNOTATION(acquire_capability(__VA_ARGS__))
#define RELEASE(...) FLEXPERT_THREAD_ANNOTATION(release_capability(__VA_ARGS__))
