# SPDX-License-Identifier: Apache-2.0
# Owns what is installed: libraries, headers, nbj.pc and the CMake package that gives nbj::nbj and nbj::nbj_static.
include(CMakePackageConfigHelpers)

set(package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/nbj")

install(TARGETS nbj nbj_static EXPORT nbj)
install(DIRECTORY "${PROJECT_SOURCE_DIR}/include/nbj" DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}" FILES_MATCHING PATTERN "*.h")
install(EXPORT nbj NAMESPACE nbj:: FILE nbj-targets.cmake DESTINATION "${package_dir}")

configure_package_config_file("${PROJECT_SOURCE_DIR}/packaging/nbj-config.cmake.in" nbj-config.cmake
                              INSTALL_DESTINATION "${package_dir}" NO_SET_AND_CHECK_MACRO)
write_basic_package_version_file(nbj-config-version.cmake COMPATIBILITY SameMajorVersion)
install(FILES "${PROJECT_BINARY_DIR}/nbj-config.cmake" "${PROJECT_BINARY_DIR}/nbj-config-version.cmake"
        DESTINATION "${package_dir}")

configure_file("${PROJECT_SOURCE_DIR}/packaging/nbj.pc.in" nbj.pc @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/nbj.pc" DESTINATION "${CMAKE_INSTALL_LIBDIR}/pkgconfig")
