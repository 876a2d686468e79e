//! Random expressions that have types, out of a small grammar over the object of `expressions`.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// How deep they go.
const DEPTH: u32 = 4;

pub(super) struct Generator(StdRng);

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(super) fn expression(&mut self) -> String {
        match self.0.random_range(0..5) {
            0 => self.int(DEPTH),
            1 => self.double(DEPTH),
            2 => self.text(DEPTH),
            3 => self.truth(DEPTH),
            _ => self.list(DEPTH),
        }
    }

    fn one(&mut self, from: &[&str]) -> String {
        from[self.0.random_range(0..from.len())].to_owned()
    }

    fn int(&mut self, depth: u32) -> String {
        let leaf = &["object.spec.count", "object.spec.negative", "0", "1", "2", "3", "7"];
        if depth == 0 {
            return self.one(leaf);
        }
        let depth = depth - 1;
        match self.0.random_range(0..12) {
            0 => self.one(&["object.spec.big", "object.spec.small", "object.spec.nope"]),
            1 | 2 => {
                let operator = self.one(&["+", "-", "*", "/", "%"]);
                format!("({} {operator} {})", self.int(depth), self.int(depth))
            }
            3 => format!("size({})", self.text(depth)),
            4 => format!("{}.size()", self.list(depth)),
            5 => format!("int({})", self.double(depth)),
            6 => format!("{}[{}]", self.list(depth), self.int(depth)),
            7 => format!("({} ? {} : {})", self.truth(depth), self.int(depth), self.int(depth)),
            8 => format!(
                "{}.{}({})",
                self.text(depth),
                self.one(&["indexOf", "lastIndexOf"]),
                self.text(depth)
            ),
            9 => format!("{}.{}()", self.list(depth), self.one(&["sum", "max", "min"])),
            10 => format!("{}.indexOf({})", self.list(depth), self.int(depth)),
            _ => self.one(leaf),
        }
    }

    fn double(&mut self, depth: u32) -> String {
        let leaf = &[
            "object.spec.ratio",
            "object.spec.exponent",
            "object.spec.huge",
            "1.5",
            "-0.25",
        ];
        if depth == 0 {
            return self.one(leaf);
        }
        let depth = depth - 1;
        match self.0.random_range(0..5) {
            0 => format!("double({})", self.int(depth)),
            1 | 2 => {
                let operator = self.one(&["+", "-", "*", "/"]);
                format!("({} {operator} {})", self.double(depth), self.double(depth))
            }
            3 => format!(
                "({} ? {} : {})",
                self.truth(depth),
                self.double(depth),
                self.double(depth)
            ),
            _ => self.one(leaf),
        }
    }

    fn text(&mut self, depth: u32) -> String {
        let leaf = &[
            "object.spec.text",
            "object.spec.unicode",
            "object.spec.texts.none",
            "'a'",
            "'bc'",
            "''",
        ];
        if depth == 0 {
            return self.one(leaf);
        }
        let depth = depth - 1;
        match self.0.random_range(0..12) {
            0 => format!("({} + {})", self.text(depth), self.text(depth)),
            1 => format!("string({})", self.int(depth)),
            2 => format!("string({})", self.double(depth)),
            3 => format!("{}.substring({})", self.text(depth), self.int(depth)),
            4 => format!("{}.substring({}, {})", self.text(depth), self.int(0), self.int(depth)),
            5 => format!("{}.charAt({})", self.text(depth), self.int(depth)),
            6 => format!("{}.replace({}, {})", self.text(depth), self.text(depth), self.text(0)),
            7 => format!(
                "{}.{}()",
                self.text(depth),
                self.one(&["lowerAscii", "upperAscii", "trim"])
            ),
            8 => format!("{}.map(x, string(x)).join({})", self.list(depth), self.text(0)),
            9 => format!("{}.split({}).join('|')", self.text(depth), self.text(0)),
            10 => format!(
                "'%s %s'.format([dyn({}), dyn({})])",
                self.list(depth),
                self.double(depth)
            ),
            _ => self.one(leaf),
        }
    }

    fn truth(&mut self, depth: u32) -> String {
        let leaf = &[
            "object.spec.flag",
            "has(object.spec.nope)",
            "has(object.spec.count)",
            "true",
            "false",
        ];
        if depth == 0 {
            return self.one(leaf);
        }
        let depth = depth - 1;
        match self.0.random_range(0..12) {
            0 | 1 => {
                let operator = self.one(&["==", "!=", "<", "<=", ">", ">="]);
                format!("({} {operator} {})", self.int(depth), self.int(depth))
            }
            2 => {
                let operator = self.one(&["==", "<", ">="]);
                format!("({} {operator} {})", self.double(depth), self.double(depth))
            }
            3 => {
                let operator = self.one(&["==", "<", ">="]);
                format!("({} {operator} {})", self.text(depth), self.text(depth))
            }
            4 => format!("!{}", self.truth(depth)),
            5 => format!("({} && {})", self.truth(depth), self.truth(depth)),
            6 => format!("({} || {})", self.truth(depth), self.truth(depth)),
            7 => {
                let function = self.one(&["startsWith", "endsWith", "contains"]);
                format!("{}.{function}({})", self.text(depth), self.text(depth))
            }
            8 => format!(
                "{}.{}(x, x > {})",
                self.list(depth),
                self.one(&["all", "exists", "exists_one"]),
                self.int(depth)
            ),
            9 => format!("({} in {})", self.int(depth), self.list(depth)),
            10 => format!("({} == {})", self.list(depth), self.list(depth)),
            _ => self.one(leaf),
        }
    }

    fn list(&mut self, depth: u32) -> String {
        let leaf = &[
            "object.spec.list",
            "object.spec.empty",
            "[1, 3, 2]",
            "object.spec.ports.map(p, p.port)",
        ];
        if depth == 0 {
            return self.one(leaf);
        }
        let depth = depth - 1;
        // Go panics, and says so, where a list goes wrong that is to be put into an order.
        match self.0.random_range(0..9) {
            0 => format!("[dyn({}), dyn({})]", self.int(depth), self.int(depth)),
            1 => format!("({} + {})", self.list(depth), self.list(depth)),
            2 => format!("{}.filter(x, x > {})", self.list(depth), self.int(depth)),
            3 => format!("{}.map(x, x + {})", self.list(depth), self.int(depth)),
            4 => format!("{}.{}()", self.one(leaf), self.one(&["sort", "reverse", "distinct"])),
            5 => format!("{}.slice({}, {})", self.list(depth), self.int(0), self.int(depth)),
            6 => format!("{}.sortBy(x, -x)", self.one(leaf)),
            7 => format!("{}.transformList(i, v, i + v)", self.list(depth)),
            _ => self.one(leaf),
        }
    }
}
