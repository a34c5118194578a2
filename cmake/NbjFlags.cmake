# SPDX-License-Identifier: Apache-2.0
# Owns the compiler flags, as two interface targets: nbj_flags for everything of ours, nbj_strict on top for the library.
add_library(nbj_flags INTERFACE)
target_compile_options(nbj_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes
                       $<$<BOOL:${NBJ_WERROR}>:-Werror>)

add_library(nbj_strict INTERFACE)
target_link_libraries(nbj_strict INTERFACE nbj_flags)
target_compile_options(nbj_strict INTERFACE -Wmissing-prototypes)

if(NBJ_SANITIZE)
    # A report ends the program, so that a test cannot pass over it.
    target_compile_options(nbj_flags INTERFACE -fsanitize=${NBJ_SANITIZE} -fno-sanitize-recover=all -fno-omit-frame-pointer)
    target_link_options(nbj_flags INTERFACE -fsanitize=${NBJ_SANITIZE})
endif()

if(NBJ_LIBFUZZER)
    target_compile_options(nbj_flags INTERFACE -fsanitize=fuzzer-no-link)
endif()

if(NBJ_COVERAGE)
    target_compile_options(nbj_flags INTERFACE --coverage)
    target_link_options(nbj_flags INTERFACE --coverage)
endif()

if(CMAKE_INTERPROCEDURAL_OPTIMIZATION AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    # The installed static library must also serve linkers that know nothing of this gcc's intermediate code.
    target_compile_options(nbj_flags INTERFACE -ffat-lto-objects)
endif()

if(NBJ_HARDEN)
    # Some distributions predefine _FORTIFY_SOURCE; undefining first avoids the redefinition warning.
    target_compile_options(nbj_flags INTERFACE -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2 -fstack-protector-strong)
    target_link_options(nbj_flags INTERFACE -Wl,-z,relro -Wl,-z,now)
    include(CheckCCompilerFlag)
    foreach(flag stack-clash-protection cf-protection)
        string(MAKE_C_IDENTIFIER "NBJ_HAS_${flag}" result)
        check_c_compiler_flag("-f${flag}" ${result})
        target_compile_options(nbj_flags INTERFACE $<$<BOOL:${${result}}>:-f${flag}>)
    endforeach()
endif()
