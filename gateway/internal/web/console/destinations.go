package console

func (c *Console) mountDestinations() {
}
