//! Converse and ConverseStream (Amazon Bedrock).
