//! Which machines an image is for: `OS/ARCH[/VARIANT]`.

use std::fmt;
use std::str::FromStr;

use super::Config;
use crate::error::{Error, Result};

/// A platform.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Platform {
    /// A GOOS, such as `linux`.
    pub os: String,
    /// A GOARCH, such as `amd64`.
    pub architecture: String,
    /// A kind of the architecture, such as `v7`.
    pub variant: Option<String>,
}

impl Default for Platform {
    /// Where nobody says anything; the machine that pylayer runs on has no say.
    fn default() -> Self {
        Self { os: "linux".to_owned(), architecture: "amd64".to_owned(), variant: None }
    }
}

impl Platform {
    /// The platform that a config is for.
    pub fn of(config: &Config) -> Self {
        Self {
            os: config.os.clone(),
            architecture: config.architecture.clone(),
            variant: config.variant.clone().filter(|variant| !variant.is_empty()),
        }
    }

    /// Whether an image for `other` is what is asked for with this: its variant counts only where
    /// one is asked for.
    pub fn accepts(&self, other: &Self) -> bool {
        (&self.os, &self.architecture) == (&other.os, &other.architecture)
            && (self.variant.is_none() || self.usual() == other.usual())
    }

    /// The variant, or the one that is meant where none is named.
    fn usual(&self) -> Option<&str> {
        match (&*self.architecture, self.variant.as_deref()) {
            ("arm64", None) => Some("v8"),
            ("amd64", None) => Some("v1"),
            (_, variant) => variant,
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.as_ref().map_or(Ok(()), |variant| write!(f, "/{variant}"))
    }
}

impl FromStr for Platform {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let is_word = |part: &&str| -> bool {
            !part.is_empty()
                && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
        };
        match &*parts {
            [os, architecture, variant @ ..] if variant.len() < 2 && parts.iter().all(is_word) => {
                let variant = variant.first().map(ToString::to_string);
                Ok(Self { os: (*os).to_owned(), architecture: (*architecture).to_owned(), variant })
            }
            _ => Err(Error::usage(format!("`{text}` is not a platform"))
                .hint("write OS/ARCH or OS/ARCH/VARIANT, such as linux/amd64")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_platform_is_two_words_or_three() {
        for text in ["linux/amd64", "linux/arm/v7", "windows/amd64"] {
            assert_eq!(text.parse::<Platform>().unwrap().to_string(), text);
        }
        for text in ["", "linux", "linux/", "/amd64", "linux/arm/v7/x", "linux/a b"] {
            assert_eq!(text.parse::<Platform>().unwrap_err().fault().exit_code(), 2, "{text}");
        }
    }

    #[test]
    fn a_variant_counts_where_one_is_asked_for() {
        for (asked, has, fits) in [
            ("linux/arm64", "linux/arm64/v8", true),
            ("linux/arm64/v8", "linux/arm64", true),
            ("linux/arm", "linux/arm/v7", true),
            ("linux/arm/v6", "linux/arm/v7", false),
            ("linux/arm/v6", "linux/arm", false),
            ("linux/amd64", "linux/arm64", false),
        ] {
            let [asked, has] = [asked, has].map(|text| text.parse::<Platform>().unwrap());
            assert_eq!(asked.accepts(&has), fits, "{asked} {has}");
        }
    }
}
