//! generateContent and streamGenerateContent (Gemini, Vertex AI).
