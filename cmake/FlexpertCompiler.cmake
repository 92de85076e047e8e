# Language, warnings, sanitizers and hardening, the same for every target of the project.
set(CMAKE_CXX_STANDARD 23)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

option(FLEXPERT_WERROR "Treat warnings as errors" ON)
option(FLEXPERT_BENCH "Build the benchmarks" ON)
option(FLEXPERT_FUZZ "Build the libFuzzer targets (clang); elsewhere their corpora are only replayed" OFF)
option(FLEXPERT_HARDEN "Hardening flags (release)" OFF)
set(FLEXPERT_SANITIZE "" CACHE STRING "Sanitizers to build with: address;undefined or thread")

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE RelWithDebInfo)
endif()
# -g1 keeps line numbers for stack traces and sanitizers at a fraction of the build time of -g.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1")

# -ffp-contract=off: a fused multiply-add happens where the source says so and nowhere else, or tokens would
# depend on the compiler's mood.
add_compile_options(-ffp-contract=off -fno-math-errno -Wall -Wextra -Wshadow -Wnon-virtual-dtor -Woverloaded-virtual
                    -Wcast-align -Wnull-dereference -Wimplicit-fallthrough)
if(FLEXPERT_WERROR)
  add_compile_options(-Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
  # g++ 12's own <algorithm> (std::stable_sort) is what clang 19 finds deprecated.
  add_compile_options(-Wthread-safety -Wno-unused-command-line-argument -Wno-deprecated-declarations)
else()
  # g++ 12 reports these inside its own std::expected, std::optional and <regex> when it inlines them.
  add_compile_options(-Wno-maybe-uninitialized -Wno-null-dereference -Wno-restrict -Wno-stringop-overflow
                      -Wno-array-bounds -Wno-free-nonheap-object -Wno-dangling-pointer)
endif()

if(FLEXPERT_SANITIZE)
  string(REPLACE ";" "," _sanitizers "${FLEXPERT_SANITIZE}")
  add_compile_options(-fsanitize=${_sanitizers} -fno-omit-frame-pointer -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${_sanitizers})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wno-tsan)
  endif()
endif()
if(FLEXPERT_FUZZ)
  add_compile_options(-fsanitize=fuzzer-no-link)
endif()
if(FLEXPERT_HARDEN)
  add_compile_options(-D_FORTIFY_SOURCE=2 -D_GLIBCXX_ASSERTIONS -fstack-protector-strong -fstack-clash-protection
                      -fcf-protection=full)
  add_link_options(-Wl,-z,relro,-z,now,-z,noexecstack -pie)
endif()

find_program(CCACHE_PROGRAM ccache)
if(CCACHE_PROGRAM)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CCACHE_PROGRAM})
endif()
# mold links LTO objects of g++ through its plugin less reliably than the default linker: release keeps that one.
find_program(MOLD_PROGRAM mold)
if(MOLD_PROGRAM AND NOT CMAKE_INTERPROCEDURAL_OPTIMIZATION)
  add_link_options(-fuse-ld=mold)
endif()
