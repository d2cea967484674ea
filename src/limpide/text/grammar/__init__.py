"""What an answer may be, as a grammar: shapes, tool calls and both together, in llguidance's form of Lark."""
