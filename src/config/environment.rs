//! What the configuration's reader sees of the process and the machine: variables, and where files are looked for.

use crate::error::Error;
use cryptoki_sys::CKR_GENERAL_ERROR;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A process's variables and its file system's root, both replaceable by a test.
pub struct Environment<'a> {
    /// The value of a variable, if it is set.
    pub variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// Where `etc` lies.
    pub root: &'a Path,
}

impl Environment<'_> {
    /// Our own configuration file, if there is one.
    pub fn own_file(&self) -> Result<Option<PathBuf>, Error> {
        match self.named_file("CLOUD_KMS_PKCS11_CONFIG")? {
            Some(file) => Ok(Some(file)),
            // A file below a folder that this user can't enter counts as absent: services run with a foreign HOME.
            None => Ok(self.places("cloud-kms-pkcs11", "config.json").into_iter().find(|file| file.metadata().is_ok())),
        }
    }

    /// The file that a variable names; it must exist.
    pub fn named_file(&self, variable: &str) -> Result<Option<PathBuf>, Error> {
        let Some(file) = self.path(variable) else { return Ok(None) };
        match file.metadata() {
            Ok(_) => Ok(Some(file)),
            Err(error) => {
                let message = format!("{variable} names {}, which can't be read: {error}", file.display());
                Err(Error::new(CKR_GENERAL_ERROR, message))
            }
        }
    }

    /// Where a file of the program `name` may lie: the user's folder, then the system's.
    pub fn places(&self, name: &str, file: &str) -> Vec<PathBuf> {
        let folders = [self.user_folder(), Some(self.root.join("etc"))];
        folders.into_iter().flatten().map(|folder| folder.join(name).join(file)).collect()
    }

    /// Where public halves are cached: below `$XDG_CACHE_HOME` or `$HOME/.cache`, where that is there.
    pub fn cache_folder(&self) -> Option<PathBuf> {
        let named = self.path("XDG_CACHE_HOME").filter(|folder| folder.is_absolute());
        let folder = named.or_else(|| self.path("HOME").map(|home| home.join(".cache")))?;
        folder.is_dir().then(|| folder.join("cloud-kms-pkcs11"))
    }

    /// The places of `azureauth.json`.
    pub fn auth_files(&self) -> Vec<PathBuf> {
        let named = self.path("AZURE_AUTH_LOCATION");
        named.into_iter().chain(self.places("azure-keyvault-pkcs11", "azureauth.json")).collect()
    }

    /// A variable that is set and not empty, as text.
    pub fn text(&self, name: &str) -> Option<String> {
        self.path(name).map(|value| value.to_string_lossy().into_owned())
    }

    /// A variable that is set and not empty, as a path.
    pub fn path(&self, name: &str) -> Option<PathBuf> {
        (self.variable)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// `$XDG_CONFIG_HOME`, or `$HOME/.config` where that is unset; none where it is set but empty.
    fn user_folder(&self) -> Option<PathBuf> {
        match (self.variable)("XDG_CONFIG_HOME") {
            Some(_) => self.path("XDG_CONFIG_HOME"),
            None => self.path("HOME").map(|home| home.join(".config")),
        }
    }
}
