//! Certificates and certificate requests.

mod authority;
mod certificate;
mod name;
mod output;
mod request;
mod template;
mod usage;
mod validity;

pub use authority::Authority;
pub use certificate::sign_certificate;
pub use output::X509OutputArguments;
pub use request::{Request, sign_request};
pub use template::TemplateArguments;
pub use validity::ValidityArguments;
