//! Takes a command line apart: POSIX shell words, pipes and two redirections of standard error.
//!
//! What these cannot say needs a shell, and is named, never guessed: the words of a pipeline mean to the remote host
//! exactly what a shell would have made of them. Knows no host and no policy. Source: POSIX.1-2024, XCU 2.
//!
//! Compiled into the server too, where `scout policy` reads commands with it, and into the tests of the command policy: a module beside it
//! named `exec` has the types of a stage.

use std::iter::Peekable;
use std::str::Chars;

use super::exec::{Stage, StderrTo, Word};

/// Why a command line is no pipeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NotAPipeline {
    /// A shell could run it; this is the first thing that takes one.
    NeedsShell(Construct),
    /// No shell would take it either; why.
    Malformed(&'static str),
}

/// Something that only a shell does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Construct {
    /// As it is written.
    pub(crate) written: String,
    /// What it is called.
    pub(crate) called: &'static str,
}

/// Whether words may name the home directory as `~`. Scout quotes words, so `~/x` is given as `x`; that is the same
/// file only where the command runs in the home directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tilde {
    /// The command runs in the home directory.
    IsHere,
    /// It runs elsewhere.
    IsElsewhere,
}

impl Tilde {
    /// Whether `~` is where a command runs that is given this directory.
    pub(crate) fn of(directory: Option<&[u8]>) -> Self {
        match directory {
            None | Some(b"~" | b"~/" | b"" | b".") => Self::IsHere,
            Some(_) => Self::IsElsewhere,
        }
    }
}

/// Words that begin a compound command where a program's name would stand (POSIX 2.4, and `function` and `time` of
/// other shells).
const RESERVED: [&str; 16] = [
    "!", "case", "do", "done", "elif", "else", "esac", "fi", "for", "function", "if", "in", "then", "time", "until",
    "while",
];

/// The pipeline that a command line spells.
pub(crate) fn pipeline(line: &str, tilde: Tilde) -> Result<Vec<Stage>, NotAPipeline> {
    let mut stages = Vec::new();
    let mut stage = Stage { words: Vec::new(), stderr: StderrTo::Capture };
    let mut lexer = Lexer { rest: trimmed(line).chars().peekable(), tilde };
    loop {
        match lexer.token()? {
            Token::Word { word, bare } => {
                if stage.words.is_empty()
                    && let Some(bare) = bare
                {
                    starts_no_program(&bare)?;
                }
                stage.words.push(word);
            }
            Token::Stderr(to) => stage.stderr = to,
            end @ (Token::Pipe | Token::End) => {
                let is_last = matches!(end, Token::End);
                if stage.words.is_empty() {
                    return Err(NotAPipeline::Malformed(if stages.is_empty() && is_last {
                        "the command is empty"
                    } else {
                        "a `|` has no command on one side"
                    }));
                }
                let next = Stage { words: Vec::new(), stderr: StderrTo::Capture };
                stages.push(std::mem::replace(&mut stage, next));
                if is_last {
                    return Ok(stages);
                }
            }
        }
    }
}

/// The line without blanks and line ends round it, unless the last of them is escaped.
fn trimmed(line: &str) -> &str {
    const BLANK: [char; 4] = [' ', '\t', '\n', '\r'];
    let line = line.trim_start_matches(BLANK);
    let short = line.trim_end_matches(BLANK);
    if short.ends_with('\\') { line } else { short }
}

/// Refuses an assignment and a reserved word where a program's name should be.
fn starts_no_program(bare: &str) -> Result<(), NotAPipeline> {
    if RESERVED.contains(&bare) {
        return Err(needs_shell(bare, "a reserved word"));
    }
    let is_name = |name: &str| {
        !name.starts_with(|c: char| c.is_ascii_digit())
            && !name.is_empty()
            && name.chars().all(|c| c == '_' || c.is_ascii_alphanumeric())
    };
    match bare.split_once('=') {
        Some((name, _)) if is_name(name) => Err(needs_shell(&format!("{name}="), "an assignment")),
        _ => Ok(()),
    }
}

fn needs_shell(written: &str, called: &'static str) -> NotAPipeline {
    NotAPipeline::NeedsShell(Construct { written: written.to_owned(), called })
}

enum Token {
    Word {
        word: Word,
        /// Its text as far as it is not quoted: up to its first quote or pattern character. Only such text is a
        /// reserved word or an assignment's name.
        bare: Option<String>,
    },
    Stderr(StderrTo),
    Pipe,
    End,
}

/// A character of a word and whether it was quoted.
type Piece = (char, bool);

struct Lexer<'a> {
    rest: Peekable<Chars<'a>>,
    tilde: Tilde,
}

impl Lexer<'_> {
    fn token(&mut self) -> Result<Token, NotAPipeline> {
        while self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        match self.rest.peek() {
            None => Ok(Token::End),
            Some('#') => Err(needs_shell("#", "a comment")),
            Some('|') => {
                self.rest.next();
                self.skip_continuations();
                match self.rest.peek() {
                    Some('|') => Err(needs_shell("||", "an OR list")),
                    Some('&') => Err(needs_shell("|&", "a pipe of both streams")),
                    _ => Ok(Token::Pipe),
                }
            }
            Some(_) => self.word(),
        }
    }

    fn word(&mut self) -> Result<Token, NotAPipeline> {
        // A word without a character is one all the same if it was quoted.
        let mut pieces: Vec<Piece> = Vec::new();
        let mut quoted = false;
        while let Some(&next) = self.rest.peek() {
            match next {
                ' ' | '\t' | '|' => break,
                '\'' => {
                    self.rest.next();
                    quoted = true;
                    self.single_quoted(&mut pieces)?;
                }
                '"' => {
                    self.rest.next();
                    quoted = true;
                    self.double_quoted(&mut pieces)?;
                }
                '\\' => {
                    self.rest.next();
                    match self.rest.next() {
                        // A line that goes on. In front of a word it is nothing: a `#` behind it begins a comment.
                        Some('\n') if pieces.is_empty() && !quoted => return self.token(),
                        Some('\n') => {}
                        Some(escaped) => {
                            quoted = true;
                            pieces.push((escaped, true));
                        }
                        None => return Err(NotAPipeline::Malformed("nothing follows the last `\\`")),
                    }
                }
                '>' if !quoted && is_stderr(&pieces) => {
                    self.rest.next();
                    return self.stderr();
                }
                '$' => {
                    self.rest.next();
                    self.dollar(Quoting::None)?;
                    pieces.push(('$', true));
                }
                other => {
                    self.rest.next();
                    // With nothing between them, braces are themselves in every shell.
                    if other == '{' && self.rest.next_if_eq(&'}').is_some() {
                        pieces.extend([('{', false), ('}', false)]);
                        continue;
                    }
                    if let Some(called) = operator(other) {
                        return Err(self.operator(other, called));
                    }
                    pieces.push((other, false));
                }
            }
        }
        self.meaning(pieces)
    }

    /// An operator in full: `&&` is no `&`.
    fn operator(&mut self, first: char, called: &'static str) -> NotAPipeline {
        let doubled = self.rest.peek() == Some(&first);
        match first {
            '&' if doubled => needs_shell("&&", "an AND list"),
            '>' if doubled => needs_shell(">>", "a redirection"),
            '<' if doubled => needs_shell("<<", "a here-document"),
            '\n' => needs_shell("a line break", called),
            other => needs_shell(other.encode_utf8(&mut [0; 4]), called),
        }
    }

    fn single_quoted(&mut self, pieces: &mut Vec<Piece>) -> Result<(), NotAPipeline> {
        loop {
            match self.rest.next() {
                Some('\'') => return Ok(()),
                Some(character) => pieces.push((character, true)),
                None => return Err(NotAPipeline::Malformed("a `'` is not closed")),
            }
        }
    }

    fn double_quoted(&mut self, pieces: &mut Vec<Piece>) -> Result<(), NotAPipeline> {
        loop {
            match self.rest.next() {
                Some('"') => return Ok(()),
                Some('\\') => match self.rest.next_if(|c| matches!(c, '$' | '`' | '"' | '\\' | '\n')) {
                    Some('\n') => {}
                    Some(escaped) => pieces.push((escaped, true)),
                    None => pieces.push(('\\', true)),
                },
                Some('`') => return Err(needs_shell("`", "a command substitution")),
                Some('$') => {
                    self.dollar(Quoting::Double)?;
                    pieces.push(('$', true));
                }
                Some(character) => pieces.push((character, true)),
                None => return Err(NotAPipeline::Malformed("a `\"` is not closed")),
            }
        }
    }

    /// After a `$`: it stands for itself where nothing can be expanded, as at the end of a regular expression.
    fn dollar(&mut self, quoting: Quoting) -> Result<(), NotAPipeline> {
        self.skip_continuations();
        match self.rest.peek() {
            Some('(') => Err(needs_shell("$(", "a command substitution")),
            Some('{') => Err(needs_shell("${", "an expansion")),
            // Some shells read `$'…'` and `$"…"` as quotes of their own.
            Some(quote @ ('\'' | '"')) if quoting == Quoting::None => {
                Err(needs_shell(&format!("${quote}"), "a quote that shells read differently"))
            }
            Some(&next) if next == '_' || next.is_ascii_alphanumeric() || "@*#?-$!".contains(next) => {
                Err(needs_shell(&format!("${next}"), "an expansion"))
            }
            _ => Ok(()),
        }
    }

    /// A shell takes escaped line ends away before it reads what they divide: behind `$` and inside an operator, too.
    fn skip_continuations(&mut self) {
        loop {
            let mut ahead = self.rest.clone();
            if (ahead.next(), ahead.next()) != (Some('\\'), Some('\n')) {
                return;
            }
            self.rest = ahead;
        }
    }

    /// After `2>`.
    fn stderr(&mut self) -> Result<Token, NotAPipeline> {
        if self.rest.next_if_eq(&'&').is_some() {
            let to = self.bare();
            return if to == "1" {
                Ok(Token::Stderr(StderrTo::Stdout))
            } else {
                Err(needs_shell(&format!("2>&{to}"), "a redirection"))
            };
        }
        while self.rest.next_if(|c| matches!(c, ' ' | '\t')).is_some() {}
        let to = self.bare();
        if to == "/dev/null" {
            Ok(Token::Stderr(StderrTo::Discard))
        } else {
            Err(needs_shell(&format!("2>{to}"), "a redirection"))
        }
    }

    /// What stands here up to the end of the word, as written.
    fn bare(&mut self) -> String {
        let mut bare = String::new();
        while let Some(character) = self.rest.next_if(|c| !matches!(c, ' ' | '\t' | '\n' | '|' | ';' | '&')) {
            bare.push(character);
        }
        bare
    }

    fn meaning(&self, mut pieces: Vec<Piece>) -> Result<Token, NotAPipeline> {
        if pieces.first() == Some(&('~', false)) {
            pieces = self.home(pieces)?;
        }
        let is_pattern = is_pattern(&pieces);
        if is_pattern {
            // A pattern has no way to say that one of these is only itself.
            if let Some((special, _)) =
                pieces.iter().find(|(character, quoted)| *quoted && matches!(character, '*' | '?' | '[' | ']' | '\\'))
            {
                return Err(needs_shell(special.encode_utf8(&mut [0; 4]), "quoted beside an unquoted pattern: it"));
            }
        }
        let text: String = pieces.iter().map(|(character, _)| character).collect();
        let bare: String = pieces.iter().map_while(|(character, quoted)| (!quoted).then_some(*character)).collect();
        // A word is reserved only if all of it is bare; an assignment's name must be.
        let bare = (bare.len() == text.len() || bare.contains('=')).then_some(bare);
        Ok(Token::Word { word: if is_pattern { Word::Glob(text) } else { Word::Literal(text) }, bare })
    }

    /// A word that begins with a bare `~`, relative to the home directory.
    fn home(&self, pieces: Vec<Piece>) -> Result<Vec<Piece>, NotAPipeline> {
        match pieces.get(1) {
            None | Some(('/', false)) if self.tilde == Tilde::IsElsewhere => {
                return Err(needs_shell("~", "the home directory, while the command runs in another,"));
            }
            None | Some(('/', false)) => {}
            Some(_) => return Err(needs_shell("~", "not alone in front of `/`: another account's home")),
        }
        let below: Vec<Piece> = pieces.into_iter().skip(1).skip_while(|(character, _)| *character == '/').collect();
        Ok(match below.first() {
            None => vec![('.', false)],
            // What would be read as an option otherwise.
            Some(('-', _)) => [('.', false), ('/', false)].into_iter().chain(below).collect(),
            Some(_) => below,
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Quoting {
    None,
    Double,
}

/// Whether a redirection that follows is one of standard error: the word so far is a bare `2`.
fn is_stderr(pieces: &[Piece]) -> bool {
    pieces == [('2', false)]
}

/// What a bare character is called that ends a word and means more than itself.
fn operator(character: char) -> Option<&'static str> {
    Some(match character {
        ';' => "a sequence",
        '&' => "a background command",
        '<' | '>' => "a redirection",
        '(' | ')' => "a subshell",
        '`' => "a command substitution",
        '{' | '}' => "a brace",
        '\n' => "a sequence",
        '\r' => "a carriage return",
        _ => return None,
    })
}

/// Whether a word holds a bare `*` or `?`, or a bare `[` that a later bare `]` closes.
fn is_pattern(pieces: &[Piece]) -> bool {
    let mut open = false;
    pieces.iter().any(|piece| match piece {
        ('*' | '?', false) => true,
        (']', false) => open,
        ('[', false) => {
            open = true;
            false
        }
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::{NotAPipeline, Stage, StderrTo, Tilde, Word, pipeline};

    /// A pipeline as one line: words in `<>`, patterns in `{}`, stages by `|`.
    fn read(line: &str) -> String {
        match pipeline(line, Tilde::IsHere) {
            Ok(stages) => stages.iter().map(shown).collect::<Vec<_>>().join("|"),
            Err(NotAPipeline::NeedsShell(construct)) => format!("shell: {}", construct.written),
            Err(NotAPipeline::Malformed(why)) => format!("malformed: {why}"),
        }
    }

    fn shown(stage: &Stage) -> String {
        let words = stage.words.iter().map(|word| match word {
            Word::Literal(text) => format!("<{text}>"),
            Word::Glob(text) => format!("{{{text}}}"),
        });
        let stderr = match stage.stderr {
            StderrTo::Capture => "",
            StderrTo::Discard => " 2>/dev/null",
            StderrTo::Stdout => " 2>&1",
        };
        words.collect::<String>() + stderr
    }

    #[test]
    fn words_are_those_of_a_posix_shell() {
        for (line, expected) in [
            ("ls -la /etc", "<ls><-la></etc>"),
            ("  ls\t-l \n", "<ls><-l>"),
            ("grep 'a b' \"c d\" e\\ f", "<grep><a b><c d><e f>"),
            ("echo '' \"\"", "<echo><><>"),
            ("echo a'b'\"c\"\\d", "<echo><abcd>"),
            ("cat 'it'\\''s'", "<cat><it's>"),
            (r#"echo "a\"b\\c\d\$e\`f""#, r#"<echo><a"b\c\d$e`f>"#),
            ("echo a\\\nb \\\n c", "<echo><ab><c>"),
            ("echo a\\\n#b", "<echo><a#b>"),
            ("grep foo$ f", "<grep><foo$><f>"),
            ("grep \"foo$\" f", "<grep><foo$><f>"),
            ("grep 'a|b;c&d>e' f", "<grep><a|b;c&d>e><f>"),
            ("find . ! -name x", "<find><.><!><-name><x>"),
            ("echo a\\ ", "<echo><a >"),
            ("echo a#b =c", "<echo><a#b><=c>"),
            ("find . -exec x {} + \\;", "<find><.><-exec><x><{}><+><;>"),
            ("cat new'\n'line", "<cat><new\nline>"),
            ("a=b'c' x", "shell: a="),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
    }

    #[test]
    fn stages_and_their_standard_error_are_read() {
        for (line, expected) in [
            ("cat *.log | sort|head -n 2", "<cat>{*.log}|<sort>|<head><-n><2>"),
            ("ls 2>&1 x | wc", "<ls><x> 2>&1|<wc>"),
            ("ls 2>/dev/null", "<ls> 2>/dev/null"),
            ("ls 2> /dev/null 2>&1", "<ls> 2>&1"),
            ("ls a2>/dev/null", "shell: >"),
            ("ls '2'>/dev/null", "shell: >"),
            ("ls 2>err", "shell: 2>err"),
            ("ls 2>>err", "shell: 2>>err"),
            ("ls 2>&-", "shell: 2>&-"),
            ("ls >/dev/null", "shell: >"),
            ("ls 1>&2", "shell: >"),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
    }

    #[test]
    fn only_bare_pattern_characters_make_a_pattern() {
        for (line, expected) in [
            ("ls *", "<ls>{*}"),
            ("ls '*' \\* \"?\"", "<ls><*><*><?>"),
            ("ls a[bc]d", "<ls>{a[bc]d}"),
            ("ls a[bc", "<ls><a[bc>"),
            ("ls a]b", "<ls><a]b>"),
            ("ls 'a b'*", "<ls>{a b*}"),
            ("ls '*'*", "shell: *"),
            ("ls '['*]", "shell: ["),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
    }

    #[test]
    fn a_bare_tilde_is_the_home_directory() {
        for (line, expected) in [
            ("ls ~", "<ls><.>"),
            ("ls ~/", "<ls><.>"),
            ("cat ~/a/b ~//c", "<cat><a/b><c>"),
            ("cat ~/'a b' ~/-n", "<cat><a b><./-n>"),
            ("ls ~/*.log", "<ls>{*.log}"),
            ("ls '~/a' a~ a/~/b", "<ls><~/a><a~><a/~/b>"),
            ("ls ~ann/x", "shell: ~"),
            ("ls ~'/x'", "shell: ~"),
        ] {
            assert_eq!(read(line), expected, "{line:?}");
        }
        assert!(pipeline("ls ~/x", Tilde::IsElsewhere).is_err());
        assert!(pipeline("ls '~/x'", Tilde::IsElsewhere).is_ok());
    }

    #[test]
    fn the_home_directory_is_where_a_command_without_a_path_runs() {
        for (directory, tilde) in [
            (None, Tilde::IsHere),
            (Some(&b"~"[..]), Tilde::IsHere),
            (Some(b"~/a"), Tilde::IsElsewhere),
            (Some(b"/"), Tilde::IsElsewhere),
        ] {
            assert_eq!(Tilde::of(directory), tilde, "{directory:?}");
        }
    }

    #[test]
    fn what_takes_a_shell_is_named() {
        for (line, expected) in [
            ("a; b", ";"),
            ("a & b", "&"),
            ("a && b", "&&"),
            ("a || b", "||"),
            ("a |& b", "|&"),
            ("a > b", ">"),
            ("a >> b", ">>"),
            ("a < b", "<"),
            ("a << b", "<<"),
            ("(a)", "("),
            ("a $(b)", "$("),
            ("a \"$(b)\"", "$("),
            ("a `b`", "`"),
            ("a \"`b`\"", "`"),
            ("a $HOME", "$H"),
            ("a ${HOME}", "${"),
            ("a \"$1\"", "$1"),
            ("kill $$", "$$"),
            ("a $'b'", "$'"),
            ("a\nb", "a line break"),
            ("a # b", "#"),
            ("a \\\n# b", "#"),
            ("a $\\\nHOME", "$H"),
            ("a \"$\\\n\\\n(b)\"", "$("),
            ("a |\\\n| b", "||"),
            ("! a", "!"),
            ("A=b c", "A="),
            ("a | B=c d", "B="),
            ("if a", "if"),
            ("{ a", "{"),
            ("ls {a,b}", "{"),
            ("ls {} {", "{"),
        ] {
            assert_eq!(read(line), format!("shell: {expected}"), "{line:?}");
        }
    }

    #[test]
    fn what_no_shell_takes_is_malformed() {
        for line in ["", "  ", "| a", "a |", "a | | b", "a 'b", "a \"b", "a \\", "2>&1"] {
            assert!(read(line).starts_with("malformed: "), "{line:?}: {}", read(line));
        }
    }
}
