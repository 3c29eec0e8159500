//! The module as programs load it.

use crate::context::Context;
use crate::failure::{Failure, Outcome};
use crate::token::{Object, Token};
use clap::Args;
use cryptoki::context::{CInitializeArgs, CInitializeFlags, Info, Pkcs11};
use cryptoki::types::AuthPin;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use zeroize::Zeroizing;

/// The arguments of every command that loads the module.
#[derive(Args)]
#[command(next_help_heading = "Options for the module")]
pub struct ModuleArguments {
    /// The file of the module, if it was not installed together with this tool
    #[arg(long, value_name = "FILE", env = "CLOUD_KMS_PKCS11_MODULE")]
    module: Option<PathBuf>,
    /// A file with the PIN of tokens that need a login
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

impl ModuleArguments {
    /// Loads the module.
    ///
    /// # Errors
    /// As [`Module::load`].
    pub fn load(&self) -> Outcome<Module> {
        Module::load(self.module.as_deref())
    }

    /// Returns the absolute path of the module's file.
    ///
    /// # Errors
    /// As [`find`].
    pub fn path(&self) -> Outcome<PathBuf> {
        Ok(std::path::absolute(find(self.module.as_deref())?)?)
    }

    /// Loads the module, and logs in to the token with that label if it needs a login.
    ///
    /// # Errors
    /// As [`Self::load`], [`Module::token`] and [`Self::log_in`].
    pub fn token(&self, label: &str) -> Outcome<Token> {
        let token = self.load()?.token(label)?;
        self.log_in(&token)?;
        Ok(token)
    }

    /// Logs in to the token if it needs a login.
    ///
    /// # Errors
    /// If the file with the PIN can't be read, or if the PIN is missing or wrong.
    pub fn log_in(&self, token: &Token) -> Outcome<()> {
        let pin = self.pin_file.as_deref().map(read_pin).transpose()?;
        token.log_in(pin.as_ref())
    }
}

/// The arguments of every command that works with one key.
#[derive(Args)]
pub struct KeyArguments {
    /// The label of the token: that of its slot in the configuration
    #[arg(long, value_name = "LABEL")]
    slot: String,
    /// The label of the key, if the token has several
    #[arg(long, value_name = "LABEL")]
    key: Option<String>,
    #[command(flatten)]
    module: ModuleArguments,
}

impl KeyArguments {
    /// Loads the module, and returns the token and the key.
    ///
    /// # Errors
    /// As [`ModuleArguments::token`] and [`Token::key`].
    pub fn open(&self) -> Outcome<(Token, Object)> {
        let token = self.module.token(&self.slot)?;
        let key = token.key(self.key.as_deref())?;
        Ok((token, key))
    }
}

fn read_pin(path: &Path) -> Outcome<AuthPin> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::from(error).of(format!("--pin-file {}", path.display())))?;
    let text = Zeroizing::new(text);
    Ok(AuthPin::from(text.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The file name of the module.
pub const FILE_NAME: &str = "libcloud_kms_pkcs11.so";

/// Where packages and `cmake --install` put the module, below the prefix that the tool was installed to.
const FOLDERS: [&str; 6] =
    ["lib/x86_64-linux-gnu/pkcs11", "lib/aarch64-linux-gnu/pkcs11", "lib64/pkcs11", "lib/pkcs11", "lib64", "lib"];

/// The initialized module.
pub struct Module {
    context: Rc<Context>,
}

impl Module {
    /// Loads the module and calls C_Initialize. `named` is the file that the user has named.
    ///
    /// # Errors
    /// If the module isn't found, can't be loaded, or refuses its configuration.
    pub fn load(named: Option<&Path>) -> Outcome<Self> {
        let path = find(named)?;
        let context = Pkcs11::new(&path).map_err(|error| {
            Failure::new(format!("{} can't be loaded: {error}", path.display()))
                .fix(format!("name the module's file by --module; it is called {FILE_NAME}"))
        })?;
        context.initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))?;
        Ok(Self { context: Rc::new(Context::new(context)) })
    }

    /// Returns what C_GetInfo tells.
    ///
    /// # Errors
    /// If the module can't tell it.
    pub fn info(&self) -> Outcome<Info> {
        Ok(self.context.module.get_library_info()?)
    }

    /// Returns the tokens of all slots, in the order of the configuration.
    ///
    /// # Errors
    /// If the module can't tell its slots.
    pub fn tokens(&self) -> Outcome<Vec<Token>> {
        let slots = self.context.module.get_slots_with_token()?;
        slots.into_iter().map(|slot| Token::new(&self.context, slot)).collect()
    }

    /// Returns the token with that label, or the only one that shows it: a token shows 32 bytes of its label.
    ///
    /// # Errors
    /// If there is none, or if there are several.
    pub fn token(&self, label: &str) -> Outcome<Token> {
        // A session for each of thousands of tokens would be for nothing.
        let slots = self.context.module.get_slots_with_token()?.into_iter();
        let labeled = slots.map(|slot| {
            let shown = self.context.module.get_token_info(slot)?.label().to_owned();
            Ok((slot, self.context.label(slot, &shown), shown))
        });
        let tokens = labeled.collect::<Outcome<Vec<_>>>()?;
        let whole: Vec<_> = tokens.iter().filter(|(_, own, _)| own == label).collect();
        let is_whole = !whole.is_empty();
        let found = if is_whole { whole } else { tokens.iter().filter(|(.., shown)| shown == label).collect() };
        let names = |tokens: &[&(_, String, String)]| {
            tokens.iter().map(|(_, own, _)| format!("{own:?}")).collect::<Vec<_>>().join(", ")
        };
        match found.as_slice() {
            [(slot, ..)] => Token::new(&self.context, *slot),
            [] if tokens.is_empty() => {
                Err(Failure::new("the module has no slot").fix("write a configuration: cloud-kms-pkcs11 doctor"))
            }
            [] => Err(Failure::new(format!("no token has the label {label:?}"))
                .fix(format!("use one of: {}", names(&tokens.iter().collect::<Vec<_>>())))),
            several if is_whole => Err(Failure::new(format!("{} tokens have the label {label:?}", several.len()))
                .fix("give each of them a slot with a label of its own in the configuration")),
            several => Err(Failure::new(format!("{} tokens show the label {label:?}", several.len()))
                .fix(format!("use one of the whole labels: {}", names(several)))),
        }
    }
}

/// Returns the module's file: the one that the user has named, or the one that was built or installed together with this
/// program.
///
/// # Errors
/// If there is none.
pub fn find(named: Option<&Path>) -> Outcome<PathBuf> {
    if let Some(path) = named {
        return Ok(path.to_owned());
    }
    let program = std::env::current_exe()?;
    let folder = program.parent().unwrap_or(Path::new("/"));
    let prefix = folder.parent().unwrap_or(Path::new("/"));
    let installed = FOLDERS.map(|place| prefix.join(place).join(FILE_NAME));
    let candidates = [folder.join(FILE_NAME)].into_iter().chain(installed);
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        Failure::new(format!("{FILE_NAME} is not installed below {}", prefix.display()))
            .fix("name the module's file by --module, or by the environment variable CLOUD_KMS_PKCS11_MODULE")
    })
}
