//! Environment variables, and the paths of configuration files.

use super::options::{Cloud, names_of};
use crate::error::Error;
use cryptoki_sys::CKR_GENERAL_ERROR;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The environment variables, the root of the file system and the clouds of the build. Tests replace all of them.
pub struct Environment<'a> {
    /// Returns the value of an environment variable, or `None` if it is not set.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// The directory that contains `etc`.
    pub root: &'a Path,
    /// The clouds that the module supports.
    pub clouds: &'a [Cloud],
}

impl Environment<'_> {
    /// Returns the message for an option or a file of `clouds` if the module supports none of them. `object` is what the
    /// user can remove instead.
    pub fn unsupported_message(&self, clouds: &[Cloud], object: &str) -> Option<String> {
        if clouds.is_empty() || clouds.iter().any(|cloud| self.clouds.contains(cloud)) {
            return None;
        }
        let (lacking, supported) = (names_of(clouds, " or "), names_of(self.clouds, ", "));
        Some(format!(
            "this build of the module has no support for {lacking}; it has: {supported}; remove {object}, or use a build \
             with the cargo feature {lacking}"
        ))
    }

    /// Returns the path of the module's own configuration file: the one that `CLOUD_KMS_PKCS11_CONFIG` names, or
    /// the first one that exists in the user's or the system's directory. Returns `None` if there is none.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the file that `CLOUD_KMS_PKCS11_CONFIG` names does not exist or can't be accessed.
    pub fn own_file(&self) -> Result<Option<PathBuf>, Error> {
        match self.file_from_variable("CLOUD_KMS_PKCS11_CONFIG")? {
            Some(file) => Ok(Some(file)),
            // A file below a directory that this user can't enter counts as absent: services run with another
            // user's HOME.
            None => Ok(self
                .candidate_paths("cloud-kms-pkcs11", "config.json")
                .into_iter()
                .find(|file| file.metadata().is_ok())),
        }
    }

    /// Returns the file that an environment variable names, or `None` if the variable is not set or empty.
    ///
    /// # Errors
    /// CKR_GENERAL_ERROR if the file does not exist or can't be accessed.
    pub fn file_from_variable(&self, variable: &str) -> Result<Option<PathBuf>, Error> {
        let Some(file) = self.path(variable) else { return Ok(None) };
        match file.metadata() {
            Ok(_) => Ok(Some(file)),
            Err(error) => {
                let message = format!(
                    "{variable} names {}, which can't be opened: {error}; correct the variable, or unset it",
                    file.display()
                );
                Err(Error::new(CKR_GENERAL_ERROR, message))
            }
        }
    }

    /// Returns the possible paths of `file`, a file of the program `name`: in the user's directory, then in the
    /// system's.
    pub fn candidate_paths(&self, name: &str, file: &str) -> Vec<PathBuf> {
        let folders = [self.user_config_directory(), Some(self.root.join("etc"))];
        folders.into_iter().flatten().map(|folder| folder.join(name).join(file)).collect()
    }

    /// Returns the default directory of the public-key cache, in `$XDG_CACHE_HOME` (an absolute path) or
    /// `$HOME/.cache`. Returns `None` if that directory does not exist.
    pub fn cache_directory(&self) -> Option<PathBuf> {
        let named = self.path("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        let folder = named.or_else(|| self.path("HOME").map(|home| home.join(".cache")))?;
        folder.is_dir().then(|| folder.join("cloud-kms-pkcs11"))
    }

    /// Returns the possible paths of `azureauth.json`: `$AZURE_AUTH_LOCATION`, then those of
    /// azure-keyvault-pkcs11.
    pub fn auth_file_candidates(&self) -> Vec<PathBuf> {
        let named = self.path("AZURE_AUTH_LOCATION");
        named.into_iter().chain(self.candidate_paths("azure-keyvault-pkcs11", "azureauth.json")).collect()
    }

    /// Returns the value of an environment variable as text, or `None` if the variable is not set or empty.
    pub fn text(&self, name: &str) -> Option<String> {
        self.path(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// Returns the value of an environment variable as a path, or `None` if the variable is not set or empty.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        (self.variable)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// Returns `$XDG_CONFIG_HOME`, or `$HOME/.config` if it is not set. Returns `None` if it is set but empty.
    fn user_config_directory(&self) -> Option<PathBuf> {
        match (self.variable)("XDG_CONFIG_HOME") {
            Some(_) => self.path("XDG_CONFIG_HOME"),
            None => self.path("HOME").map(|home| home.join(".config")),
        }
    }
}
