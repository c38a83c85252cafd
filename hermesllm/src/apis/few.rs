//! Lists that have one item almost always.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};

/// A list whose first item has no memory of its own: the choices of a chunk, the parts of a choice.
#[derive(Debug)]
pub(crate) struct Few<T> {
    first: Option<T>,
    rest: Vec<T>,
}

impl<T> Few<T> {
    /// The first item.
    pub(crate) fn first(&self) -> Option<&T> {
        self.first.as_ref()
    }
}

impl<T> Default for Few<T> {
    fn default() -> Self {
        Self {
            first: None,
            rest: Vec::new(),
        }
    }
}

impl<T> IntoIterator for Few<T> {
    type Item = T;
    type IntoIter = std::iter::Chain<std::option::IntoIter<T>, std::vec::IntoIter<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Few<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Items<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Items<T> {
            type Value = Few<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Few<T>, A::Error> {
                let first = list.next_element()?;
                let mut rest = Vec::new();
                while let Some(item) = list.next_element()? {
                    rest.push(item);
                }
                Ok(Few { first, rest })
            }
        }

        deserializer.deserialize_seq(Items(PhantomData))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_of_any_length_is_read_in_order() {
        for items in [vec![], vec![1], vec![1, 2, 3]] {
            let text = serde_json::to_string(&items).unwrap();
            let few: Few<u32> = serde_json::from_str(&text).unwrap();
            assert_eq!(few.first(), items.first());
            assert_eq!(few.into_iter().collect::<Vec<_>>(), items);
        }
        for text in ["null", "{}", "[1", "[\"a\"]"] {
            assert!(serde_json::from_str::<Few<u32>>(text).is_err(), "{text}");
        }
    }
}
