"""A model behind an address: another `limpide serve`, or anything that speaks OpenAI's dialect."""
