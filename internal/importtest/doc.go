// Package importtest holds one test: that the tree keeps its shape.
//
// The arrows between packages are what lets the money rules be proved in
// isolation and the emulator be a witness rather than an accomplice. A compiler
// enforces no direction among internal packages, so this test does: it parses
// the import clauses of every Go file and compares them with a table. The same
// walk keeps a few heavy or dangerous packages in their corner, the top level as
// fixed as it is documented, and a package comment above every package.
//
// A new internal package fails here until its arrows are written into the table:
// deciding them is part of making it.
package importtest
