//! Names that people use for images, and what each of them means in a registry.
//!
//! A name is looked for here only when no image of the store has it. Names that are not here stand for themselves.

use std::collections::BTreeMap;

use crate::{ImageReference, NameError};

/// What a name of the catalogue stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogueImage {
    /// Where it can be had.
    pub reference: ImageReference,
    /// For people, such as `Ubuntu 24.04 LTS`.
    pub title: String,
    /// What it is like, one word, such as `debian`; names of one family are shown together.
    pub family: String,
    /// Among the first to be shown.
    pub popular: bool,
}

/// Names and what they stand for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageCatalogue {
    entries: BTreeMap<String, CatalogueImage>,
}

impl ImageCatalogue {
    /// Adds a name, in place of an earlier entry of that name.
    ///
    /// # Errors
    /// [`NameError`] for a name that cannot name an image.
    pub fn insert(&mut self, name: &str, image: CatalogueImage) -> Result<(), NameError> {
        ImageReference::parse(name)?;
        self.entries.insert(name.to_owned(), image);
        Ok(())
    }

    /// What the name stands for, if it is one of the catalogue's.
    pub fn get(&self, name: &str) -> Option<&CatalogueImage> {
        self.entries.get(name)
    }

    /// Every name and what it stands for, in the order of names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &CatalogueImage)> {
        self.entries.iter().map(|(name, image)| (name.as_str(), image))
    }

    /// The image that a name means in a registry: the catalogue's, or the name itself as a reference.
    ///
    /// # Errors
    /// [`NameError`] for a name that cannot name an image of a registry.
    pub fn resolve(&self, name: &str) -> Result<ImageReference, NameError> {
        match self.get(name) {
            Some(image) => Ok(image.reference.clone()),
            None => ImageReference::parse(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_the_catalogue_means_its_reference_and_any_other_itself() {
        let mut catalogue = ImageCatalogue::default();
        let image = CatalogueImage {
            reference: ImageReference::parse("ubuntu:24.04").unwrap(),
            title: "Ubuntu".to_owned(),
            family: "debian".to_owned(),
            popular: true,
        };
        catalogue.insert("ubuntu", image.clone()).unwrap();
        assert_eq!(catalogue.resolve("ubuntu").unwrap().to_string(), "docker.io/library/ubuntu:24.04");
        assert_eq!(catalogue.resolve("ubuntu:22.04").unwrap().to_string(), "docker.io/library/ubuntu:22.04");
        assert_eq!(catalogue.resolve("host"), Err(NameError::BuiltIn));
        assert_eq!(catalogue.insert("No Name", image), Err(NameError::Path));
    }
}
