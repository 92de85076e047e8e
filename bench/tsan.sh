# Sourced by bench/run: the suites of the modules that have threads, built by clang-19 with ThreadSanitizer.
machine
echo "method: preset tsan (clang-19 -fsanitize=thread, halt_on_error), ctest over the modules named below"
scripts/install-packages core dev || return 1
modules=(net http gateway controller engine_kernels engine_model engine_expert engine_serve)
held=0 total=${#modules[@]}
cmake --preset tsan >/dev/null || return 1
for module in "${modules[@]}"; do
  if cmake --build --preset tsan --target "${module}_tests" >tsan.log 2>&1 &&
    TSAN_OPTIONS=halt_on_error=1 ctest --test-dir build/tsan -L "^${module}\$" --no-tests=error --output-on-failure -j 2 >tsan.log 2>&1; then
    held=$((held + 1))
    echo "tsan.$module $(sed -n 's/.*tests passed.* out of \([0-9]*\)/\1/p' tsan.log) tests bar 0_races: holds"
  else
    tail -40 tsan.log >&2
    echo "tsan.$module failed tests bar 0_races: falls short"
  fi
  rm -f tsan.log
done
verdict tsan $held $total
