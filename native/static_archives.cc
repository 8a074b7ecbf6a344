// Lets the distribution's libbpf.a and libelf.a into a shared object. They are compiled for
// executables: their code relocates here too (the linker refuses what does not), except for one
// thread-local of libelf (its error number) and one variable of libc (stderr). Both are replaced:
// the archive member that holds the first is then not linked, and --wrap=stderr renames the second.
#include <cstdio>

namespace {

thread_local int last_error = 0;

}  // namespace

extern "C" {

#define USM_HIDDEN __attribute__((visibility("hidden")))

USM_HIDDEN void __libelf_seterrno(int error) { last_error = error; }

USM_HIDDEN int elf_errno() {
  const int error = last_error;
  last_error = 0;
  return error;
}

USM_HIDDEN const char* elf_errmsg(int) { return "not a valid ELF file"; }

// Never written to: InstallLog() has replaced the one function that would.
USM_HIDDEN FILE* __wrap_stderr = nullptr;
}
