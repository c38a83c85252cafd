//! Calls, and which of them a piece belongs to.

/// The calls of a choice so far.
#[derive(Debug, Default)]
pub(super) struct Calls(Vec<Call>);

#[derive(Debug)]
struct Call {
    /// The provider's number.
    index: u32,
    id: String,
    /// `None` while the name has not come.
    block: Option<u32>,
    /// Arguments that came before the name.
    held: Vec<String>,
}

impl Calls {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn first_block(&self) -> Option<u32> {
        self.0.first().and_then(|call| call.block)
    }

    /// The identifier of a call whose name has not come.
    pub(super) fn waiting(&self, place: usize) -> Option<String> {
        let call = self.0.get(place).filter(|call| call.block.is_none());
        call.map(|call| call.id.clone())
    }

    pub(super) fn begin(&mut self, place: usize, block: u32) {
        if let Some(call) = self.0.get_mut(place) {
            call.block = Some(block);
        }
    }

    pub(super) fn block(&self, place: usize) -> Option<u32> {
        self.0.get(place).and_then(|call| call.block)
    }

    pub(super) fn hold(&mut self, place: usize, piece: String) {
        if let Some(call) = self.0.get_mut(place) {
            call.held.push(piece);
        }
    }

    pub(super) fn held(&mut self, place: usize) -> Vec<String> {
        let call = self.0.get_mut(place);
        call.map(|call| std::mem::take(&mut call.held))
            .unwrap_or_default()
    }

    /// Which call a piece belongs to. Most providers number them; some say 0 for each, or nothing.
    pub(super) fn place(
        &mut self,
        number: Option<u32>,
        id: Option<&str>,
        name: Option<&str>,
    ) -> Option<usize> {
        let known = match (number, id) {
            (Some(number), id) => {
                let place = self.0.iter().rposition(|call| call.index == number);
                place.filter(|place| {
                    let known = self.0.get(*place).map_or("", |call| call.id.as_str());
                    // Another identifier with a name of its own is another call.
                    id.is_none_or(|id| known.is_empty() || known == id || name.is_none())
                })
            }
            (None, Some(id)) => self.0.iter().rposition(|call| call.id == id),
            (None, None) if name.is_some() => None,
            (None, None) => self.0.len().checked_sub(1),
        };
        if let Some(place) = known {
            if let (Some(call), Some(id)) = (self.0.get_mut(place), id) {
                if call.id.is_empty() {
                    id.clone_into(&mut call.id);
                }
            }
            return Some(place);
        }
        if id.is_none() && name.is_none() && number.is_none() {
            return None;
        }
        let next = self.0.iter().map(|call| call.index.saturating_add(1)).max();
        self.0.push(Call {
            index: number.or(next).unwrap_or(0),
            id: id.unwrap_or_default().to_owned(),
            block: None,
            held: Vec::new(),
        });
        self.0.len().checked_sub(1)
    }
}
