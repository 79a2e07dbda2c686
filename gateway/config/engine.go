package config

// Engine is what keeps the state.
type Engine string

// The engines.
const (
	// EngineEmbedded keeps it in the data folder.
	EngineEmbedded Engine = "embedded"
	// EngineRedis keeps it in Redis, which replicas share.
	EngineRedis Engine = "redis"
)

// Engine is the engine that the configuration asks for.
func (c *Config) Engine() Engine {
	if c.Redis.URL.IsZero() {
		return EngineEmbedded
	}
	return EngineRedis
}
