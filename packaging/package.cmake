# The packages (deb, rpm): what CMakeLists.txt installs, with the files that only packages have, and what the package managers are told.
# scripts/package.sh sets PACKAGE_FORMAT (DEB or RPM), PACKAGE_FILES (a folder with the files it has made), PACKAGE_VERSION,
# PACKAGE_ARCHITECTURE, PACKAGE_CONTACT and, for a deb, PACKAGE_DEPENDS.
if(NOT PACKAGE_FORMAT)
  return()
endif()

set(SUMMARY "PKCS#11 module for keys in AWS, Azure, Google Cloud and Vault")
set(DESCRIPTION "This PKCS#11 module lets OpenSSL, OpenSSH, GnuTLS, Java and other programs
use private keys that stay in AWS KMS, Azure Key Vault, Google Cloud KMS,
HashiCorp Vault or OpenBao. It is registered in p11-kit. The tool
cloud-kms-pkcs11 finds faults of a configuration, lists keys, signs, and
makes certificates.")

# The module reads /etc/cloud-kms-pkcs11/config.json, which the administrator writes. The example beside it is never read, so it is
# no configuration file: a link, which an upgrade replaces and a removal removes.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/etc)
set(EXAMPLE_LINK ${CMAKE_INSTALL_PREFIX}/${EXAMPLE_DIR}/config.example.json)
if(PACKAGE_FORMAT STREQUAL "RPM")
  set(EXAMPLE_LINK ../..${EXAMPLE_LINK})
endif()
file(CREATE_LINK ${EXAMPLE_LINK} ${CMAKE_BINARY_DIR}/etc/config.example.json SYMBOLIC)
install(FILES ${CMAKE_BINARY_DIR}/etc/config.example.json DESTINATION /etc/cloud-kms-pkcs11)

# Everything is built before cpack runs. Its target `preinstall` would build again, with SOURCE_DATE_EPOCH set.
set(CMAKE_SKIP_INSTALL_ALL_DEPENDENCY ON)
set(CPACK_GENERATOR ${PACKAGE_FORMAT})
set(CPACK_INSTALL_CMAKE_PROJECTS "${CMAKE_BINARY_DIR};${PROJECT_NAME};module;/")
set(CPACK_SET_DESTDIR ON)
set(CPACK_INSTALL_DEFAULT_DIRECTORY_PERMISSIONS
    OWNER_READ OWNER_WRITE OWNER_EXECUTE GROUP_READ GROUP_EXECUTE WORLD_READ WORLD_EXECUTE)
set(CPACK_PACKAGE_NAME ${PROJECT_NAME})
set(CPACK_PACKAGE_VERSION ${PACKAGE_VERSION})
set(CPACK_PACKAGE_CONTACT "${PACKAGE_CONTACT}")
set(CPACK_PACKAGE_VENDOR "${PACKAGE_CONTACT}")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${SUMMARY}")

if(PACKAGE_FORMAT STREQUAL "DEB")
  install(FILES ${PACKAGE_FILES}/copyright ${PACKAGE_FILES}/changelog.gz ${PACKAGE_FILES}/third-party-notices.txt.gz
          DESTINATION ${CMAKE_INSTALL_DOCDIR})
  set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
  set(CPACK_DEBIAN_COMPRESSION_TYPE xz)
  set(CPACK_DEBIAN_PACKAGE_ARCHITECTURE ${PACKAGE_ARCHITECTURE})
  set(CPACK_DEBIAN_PACKAGE_SECTION utils)
  set(CPACK_DEBIAN_PACKAGE_DEPENDS "${PACKAGE_DEPENDS}")
  set(CPACK_DEBIAN_PACKAGE_RECOMMENDS "ca-certificates, p11-kit, p11-kit-modules")
  set(CPACK_DEBIAN_PACKAGE_SUGGESTS "pkcs11-provider | libengine-pkcs11-openssl, gnutls-bin, openssh-client")
  set(CPACK_DEBIAN_PACKAGE_DESCRIPTION "${DESCRIPTION}")
elseif(PACKAGE_FORMAT STREQUAL "RPM")
  install(FILES ${PACKAGE_FILES}/copyright ${PACKAGE_FILES}/third-party-notices.txt.gz LICENSE-APACHE LICENSE-MIT
          DESTINATION ${CMAKE_INSTALL_DATADIR}/licenses/${PROJECT_NAME})
  set(CPACK_RPM_FILE_NAME RPM-DEFAULT)
  set(CPACK_PACKAGE_RELOCATABLE OFF)
  set(CPACK_RPM_PACKAGE_ARCHITECTURE ${PACKAGE_ARCHITECTURE})
  set(CPACK_RPM_PACKAGE_LICENSE "Apache-2.0 OR MIT")
  set(CPACK_RPM_PACKAGE_DESCRIPTION "${DESCRIPTION}")
  set(CPACK_RPM_CHANGELOG_FILE ${PACKAGE_FILES}/changelog)
  set(CPACK_RPM_COMPRESSION_TYPE xz)
  # Without this line, cpack takes each file in /etc for a configuration file.
  set(CPACK_RPM_USER_FILELIST "%attr(-,root,root) /etc/cloud-kms-pkcs11/config.example.json")
  # The library is for programs that load it by its path. No package may depend on its file name.
  set(CPACK_RPM_SPEC_MORE_DEFINE "%global __provides_exclude_from ^${CMAKE_INSTALL_PREFIX}/${P11_MODULE_DIR}/.*$
%global __os_install_post %{nil}
%global debug_package %{nil}
%global _build_id_links none
%global _buildhost localhost
%global use_source_date_epoch_as_buildtime 1
%global clamp_mtime_to_source_date_epoch 1
Packager: ${PACKAGE_CONTACT}
Recommends: ca-certificates
Recommends: p11-kit")
  foreach(folder bash-completion bash-completion/completions fish fish/vendor_completions.d
          zsh zsh/site-functions licenses man man/man1 p11-kit p11-kit/modules)
    list(APPEND CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION ${CMAKE_INSTALL_PREFIX}/share/${folder})
  endforeach()
  list(APPEND CPACK_RPM_EXCLUDE_FROM_AUTO_FILELIST_ADDITION /etc ${CMAKE_INSTALL_PREFIX}/${P11_MODULE_DIR})
endif()
include(CPack)
