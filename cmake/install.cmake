# What `cmake --install` lays down, and what is packaged. Rooms install themselves (plumbline_room); apps and python likewise.
include(CMakePackageConfigHelpers)

set(config_folder ${CMAKE_INSTALL_LIBDIR}/cmake/plumbline)
install(EXPORT plumbline NAMESPACE plumbline:: FILE plumblineTargets.cmake DESTINATION ${config_folder})
configure_package_config_file(${CMAKE_CURRENT_LIST_DIR}/plumblineConfig.cmake.in ${PROJECT_BINARY_DIR}/plumblineConfig.cmake INSTALL_DESTINATION ${config_folder})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/plumblineConfigVersion.cmake COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/plumblineConfig.cmake ${PROJECT_BINARY_DIR}/plumblineConfigVersion.cmake DESTINATION ${config_folder})
# The libraries are compiled for AVX: programs that link them must align matrices alike, whatever they are compiled for.
target_compile_definitions(plumbline_stats INTERFACE $<INSTALL_INTERFACE:EIGEN_MAX_ALIGN_BYTES=32>)

install(DIRECTORY plumbline DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} FILES_MATCHING PATTERN "*.hpp"
        PATTERN "prelude.hpp" EXCLUDE PATTERN "toml.hpp" EXCLUDE PATTERN "onnx_tensor.hpp" EXCLUDE PATTERN "test_support.hpp" EXCLUDE)
install(DIRECTORY docs/ DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

# The whole tree installed, a program built against it, and what was installed run from where it lies.
if(PLUMBLINE_BUILD_TESTS AND NOT PLUMBLINE_SANITIZE)
  add_test(NAME install.consumer COMMAND ${PROJECT_SOURCE_DIR}/tests/consumer/run ${PROJECT_BINARY_DIR} ${CMAKE_COMMAND})
  set_tests_properties(install.consumer PROPERTIES TIMEOUT 600 ENVIRONMENT "PLUMBLINE_PYTHON=$<BOOL:${PLUMBLINE_BUILD_PYTHON}>;CXX=${CMAKE_CXX_COMPILER}")
endif()

set(CPACK_GENERATOR TGZ DEB)
set(CPACK_PACKAGE_NAME plumbline)
set(CPACK_PACKAGE_VENDOR "The Plumbline authors")
set(CPACK_PACKAGE_CONTACT "The Plumbline authors <plumbline@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "Tells whether a system that learns and decides does what people want")
set(CPACK_PACKAGE_FILE_NAME plumbline-${PROJECT_VERSION}-linux-x86_64)
set(CPACK_PACKAGE_DIRECTORY ${PROJECT_BINARY_DIR})
set(CPACK_RESOURCE_FILE_LICENSE ${PROJECT_SOURCE_DIR}/LICENSE)
set(CPACK_STRIP_FILES ON)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION science)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "python3 (>= 3.11), python3 (<< 3.12), python3-numpy")
# The .deb is for /usr, where Debian's Python looks; the archive unpacks anywhere.
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
configure_file(${CMAKE_CURRENT_LIST_DIR}/cpack_options.cmake.in ${PROJECT_BINARY_DIR}/cpack_options.cmake @ONLY)
set(CPACK_PROJECT_CONFIG_FILE ${PROJECT_BINARY_DIR}/cpack_options.cmake)
include(CPack)
