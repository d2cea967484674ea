"""The API that people already call, over whatever `limpide.core.hosting.Host` it is handed. Knows no engine."""
