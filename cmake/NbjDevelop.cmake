# SPDX-License-Identifier: Apache-2.0
# Owns the functions that fuzz/, examples/, bench/ and tests/ share.

# Sets |out| in the caller to the libraries that the includes of |sources| ask for.
function(nbj_libraries_of sources out)
    set(libraries "")
    foreach(source IN LISTS sources)
        file(STRINGS "${source}" includes REGEX "^#include <")
        if(includes MATCHES "<uv\\.h>")
            list(APPEND libraries PkgConfig::NBJ_LIBUV)
        endif()
        if(includes MATCHES "<json-c/|<json\\.h>")
            list(APPEND libraries PkgConfig::NBJ_JSONC)
        endif()
        if(includes MATCHES "<math\\.h>")
            list(APPEND libraries m)
        endif()
    endforeach()
    list(REMOVE_DUPLICATES libraries)
    set(${out} "${libraries}" PARENT_SCOPE)
endfunction()

# A program as a user would write it: |sources| against the shared library and the public headers. Without libuv what
# includes it is left out.
function(nbj_public_program target sources)
    nbj_libraries_of("${sources}" libraries)
    if("PkgConfig::NBJ_LIBUV" IN_LIST libraries AND NOT NBJ_LIBUV_FOUND)
        message(STATUS "${target}: not built, there is no libuv")
        return()
    endif()
    add_executable(${target} ${sources})
    target_link_libraries(${target} PRIVATE nbj nbj_flags Threads::Threads ${libraries})
endfunction()

# Registers |command| with one |server| (version=path) and its |age| as test |name|@version. Exit status 77: skipped.
function(nbj_server_test name server age)
    string(REGEX REPLACE "=.*" "" version "${server}")
    string(REGEX REPLACE "^[^=]*=" "" path "${server}")
    add_test(NAME "${name}@${version}" COMMAND ${ARGN})
    set_tests_properties("${name}@${version}" PROPERTIES LABELS "live;${age}" TIMEOUT 120 SKIP_RETURN_CODE 77
                         ENVIRONMENT "NBJ_TEST_SERVER=${path};NBJ_TEST_SERVER_VERSION=${version}")
endfunction()

# Registers |command| once per server of NBJ_SERVERS as test |name|@version. One that starts threads, which its name says,
# gets the label that the ThreadSanitizer run selects, for the first server.
function(nbj_live_test name)
    set(age live-newest)
    if(name MATCHES "_threads$")
        list(APPEND age threads)
    endif()
    foreach(server IN LISTS NBJ_SERVERS)
        nbj_server_test(${name} "${server}" "${age}" ${ARGN})
        set(age live-older)
    endforeach()
endfunction()

# Likewise for the newest server alone.
function(nbj_newest_test name)
    foreach(server IN LISTS NBJ_SERVERS)
        nbj_server_test(${name} "${server}" live-newest ${ARGN})
        break()
    endforeach()
endfunction()
