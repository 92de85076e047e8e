#include <cstdio>

int main() {
  std::puts("flexpert");
  return 0;
}
