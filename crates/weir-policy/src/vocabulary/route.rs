//! Routes: URL templates of a contract, one of which is stored in place of the path that matches it.

use super::Token;

/// A closed list of URL templates, looked up by path.
///
/// A template is a path whose segments are literals or `{name}`, which stands for one segment that is not empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Routes {
    templates: Vec<String>,
    root: Node,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Node {
    template: Option<Token>,
    /// Sorted by literal.
    literals: Vec<(Box<[u8]>, Node)>,
    variable: Option<Box<Node>>,
}

/// Why a text is no template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadTemplate {
    /// It matches the same paths as another of the list.
    Ambiguous,
    /// A brace stands elsewhere than around a whole segment's name.
    Braces,
    /// It does not start with `/`, or has an empty segment, a query or a fragment.
    NotAPath,
}

impl Routes {
    /// Returns the routes of these templates, or the place of each that is none and why.
    ///
    /// # Errors
    /// Every bad template, by its place.
    pub fn new(mut templates: Vec<String>) -> Result<Self, Vec<(usize, BadTemplate)>> {
        let mut faults = Vec::new();
        let mut check = Node::default();
        for (place, template) in templates.iter().enumerate() {
            if let Err(fault) = shape(template).and_then(|()| check.insert(template, Token::at(place))) {
                faults.push((place, fault));
            }
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        templates.sort_unstable();
        let mut root = Node::default();
        for (place, template) in templates.iter().enumerate() {
            root.insert(template, Token::at(place)).expect("checked above");
        }
        Ok(Self { templates, root })
    }

    /// Returns the token of the template that matches a path or an absolute URL.
    ///
    /// Scheme, authority, query, fragment and one slash at the end are skipped. Where two templates match, the one
    /// with a literal in the first segment that differs wins.
    pub fn token(&self, text: &[u8]) -> Option<Token> {
        let path = path_of(text)?;
        let path = path.strip_suffix(b"/").unwrap_or(path);
        self.root.find(path)
    }

    /// Returns the template of a token that these routes made.
    pub fn render(&self, token: Token) -> &str {
        token.place().and_then(|place| self.templates.get(place)).map_or(Token::OTHER_TEXT, String::as_str)
    }

    /// Returns the templates, sorted.
    pub fn templates(&self) -> &[String] {
        &self.templates
    }
}

impl Node {
    fn insert(&mut self, template: &str, token: Token) -> Result<(), BadTemplate> {
        let mut node = self;
        for segment in template.trim_matches('/').split('/').filter(|segment| !segment.is_empty()) {
            node = if segment.starts_with('{') {
                node.variable.get_or_insert_default()
            } else {
                let literal = segment.as_bytes();
                let place = match node.literals.binary_search_by(|(entry, _)| (**entry).cmp(literal)) {
                    Ok(place) => place,
                    Err(place) => {
                        node.literals.insert(place, (literal.into(), Self::default()));
                        place
                    }
                };
                &mut node.literals[place].1
            };
        }
        match node.template.replace(token) {
            Some(_) => Err(BadTemplate::Ambiguous),
            None => Ok(()),
        }
    }

    /// Takes `""` or `/segment…`. Depth is bounded by the deepest template.
    fn find(&self, path: &[u8]) -> Option<Token> {
        let Some(path) = path.strip_prefix(b"/") else { return self.template };
        let end = path.iter().position(|&byte| byte == b'/').unwrap_or(path.len());
        let (segment, rest) = path.split_at(end);
        if segment.is_empty() {
            return None;
        }
        let literal = self.literals.binary_search_by(|(entry, _)| (**entry).cmp(segment)).ok();
        literal
            .and_then(|place| self.literals[place].1.find(rest))
            .or_else(|| self.variable.as_ref().and_then(|node| node.find(rest)))
    }
}

/// Returns the path of an absolute URL or of a path with query and fragment.
fn path_of(text: &[u8]) -> Option<&[u8]> {
    let end = text.iter().position(|&byte| byte == b'?' || byte == b'#').unwrap_or(text.len());
    let text = &text[..end];
    if text.starts_with(b"/") {
        return Some(text);
    }
    let authority = text.windows(3).position(|window| window == b"://")? + 3;
    let path = text[authority..].iter().position(|&byte| byte == b'/');
    Some(path.map_or(b"/", |path| &text[authority + path..]))
}

fn shape(template: &str) -> Result<(), BadTemplate> {
    let Some(path) = template.strip_prefix('/') else { return Err(BadTemplate::NotAPath) };
    if template.contains(['?', '#', ' ']) {
        return Err(BadTemplate::NotAPath);
    }
    if path.is_empty() {
        return Ok(());
    }
    for segment in path.split('/') {
        if segment.is_empty() {
            return Err(BadTemplate::NotAPath);
        }
        let name = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let literal = name.unwrap_or(segment);
        if literal.is_empty() || literal.contains(['{', '}']) {
            return Err(BadTemplate::Braces);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let templates = ["/", "/cart", "/orders/{id}", "/orders/new", "/orders/{id}/pay", "/{shop}/orders"];
        Routes::new(templates.map(str::to_owned).to_vec()).expect("all are sound")
    }

    #[test]
    fn a_path_is_stored_as_the_template_that_matches() {
        let routes = routes();
        for (path, template) in [
            ("/", "/"),
            ("/cart", "/cart"),
            ("/cart/", "/cart"),
            ("/cart?x=1#y", "/cart"),
            ("/orders/4711", "/orders/{id}"),
            ("/orders/new", "/orders/new"),
            ("/orders/new/pay", "/orders/{id}/pay"),
            ("/orders/{id}", "/orders/{id}"),
            ("/orders/orders", "/orders/{id}"),
            ("/lamps/orders", "/{shop}/orders"),
            ("https://a.example/cart?x", "/cart"),
            ("https://a.example", "/"),
        ] {
            assert_eq!(routes.token(path.as_bytes()).map(|token| routes.render(token)), Some(template), "{path}");
        }
        for path in
            ["", "cart", "/nowhere", "/orders/", "/orders//pay", "//", "/orders/1/pay/now", "mailto:jane@example.org"]
        {
            assert_eq!(routes.token(path.as_bytes()), None, "{path}");
        }
    }
}
